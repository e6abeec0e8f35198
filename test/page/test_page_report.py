"""The page of `ssmd report --html` in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from browser import Browser, Page
from gevent.pywsgi import WSGIServer
from process import ssmd
from recorded import make_day

from ssmd.reports.figures import Figures
from ssmd.reports.html import page as report
from ssmd.shape.shape import Markets
from ssmd.store.manifest import TimeGap
from ssmd.store.timestamps import day_begins

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.one_day]


@contextmanager
def shown(browser: Browser, html: str, width: int) -> Iterator[Page]:
    def answer(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [html.encode()]

    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    try:
        with browser.page(f"127.0.0.1:{server.server_port}", viewport={"width": width, "height": 800}) as page:
            page.wait_for_text("h1", "What was recorded")
            yield page
    finally:
        server.stop()
        gevent.sleep(0)


@pytest.mark.parametrize("width", [400, 1280])
def test_wide_figures_fit_too(browser: Browser, width: int):
    outage = TimeGap("2026-09-20T00:00:00.000000Z", "2026-09-21T00:00:00.000000Z", 86_400.0, "killed")
    markets = Markets(3_000_000_000, False, None, {"KX-" + "A" * 250: 2_999_999_999}, 9, 8, ["KX-" + "B" * 250] * 8)
    sizes: dict[str, Any] = {"messages": 3_000_000_000, "bytes": 1_060_000_000_000, "stored_bytes": 1_060_000_000}
    day = Figures("2026-09-20", "kalshi", **sizes, peak_second=100_000, outages=[outage], markets=markets)
    html = report([day], now_ns=day_begins("2026-09-30"), storage="data", version="1")
    with shown(browser, html, width) as page:
        assert page.call("evaluate", "() => document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_cut_off_at_any_width(browser: Browser, tmp_path: Path, width: int):
    make_day(tmp_path, "2026-09-20", connected=((600, 50_000, "disconnected"), (50_600, 86_400, "stopped")))
    made = ssmd("report", tmp_path, "--html")
    assert made.returncode == 0
    with shown(browser, made.stdout, width) as page:
        page.wait_for_text("main", "Markets: 9 had a message, none were asked for by name.")
        assert page.call("evaluate", "() => document.documentElement.scrollWidth") == width
        assert page.problems == []
