"""The page of `ssmd report --html` in a real browser."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest
from browser import Browser
from gevent.pywsgi import WSGIServer
from process import ssmd
from recorded import make_day

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.one_day]


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_cut_off_at_any_width(browser: Browser, tmp_path: Path, width: int):
    make_day(tmp_path, "2026-09-20", connected=((600, 50_000, "disconnected"), (50_600, 86_400, "stopped")))
    made = ssmd("report", tmp_path, "--html")
    assert made.returncode == 0

    def answer(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [made.stdout.encode()]

    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    try:
        with browser.page(f"127.0.0.1:{server.server_port}", viewport={"width": width, "height": 800}) as page:
            page.wait_for_text("h1", "What was recorded")
            page.wait_for_text("main", "Of the markets, 9 had a message, none were asked for by name.")
            assert page.call("evaluate", "() => document.documentElement.scrollWidth") == width
            assert page.problems == []
    finally:
        server.stop()
        gevent.sleep(0)
