"""The page over several collectors in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser
from ports import free_port
from process import Collector, Probed

TRADES = "subscribe: [{channels: [trade]}]\n"

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.one_day]


@pytest.mark.parametrize("width", [1280, 400])
def test_it_is_live_and_fits(browser: Browser, tmp_path: Path, width: int):
    nobody = f"127.0.0.1:{free_port()}"
    with Collector(tmp_path, "sim://kalshi?rate=200", environment=TRADES) as collector:
        collector.start_up()
        with Probed("dashboard", "--listen", "127.0.0.1:0", nobody, collector.listen) as dashboard:
            dashboard.listen = dashboard.wait_for("serving")["listen"]
            with browser.page(dashboard.listen, viewport={"width": width, "height": 800}) as page:
                page.verdict(f"1 of 2 collectors not well: {nobody}", "bad")
                page.wait_for_text("#live", "Live")
                page.wait_for_text('[data-part="collectors"]', "Collecting all markets, ")
                page.wait_for_text('[data-part="collectors"]', "connection refused, since ")
                assert page.text("#brief") == "1 of 2 collectors not well"
                assert page.call("evaluate", "() => document.documentElement.scrollWidth") == width
                assert page.problems == []
