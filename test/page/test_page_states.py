"""The page of a real collector in each state: that it says the state, and since when."""

from __future__ import annotations

import json
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from browser import Browser, Page
from process import Collector
from states import RATE, STATES, collecting

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.one_day]

SECOND = timedelta(seconds=1)
"""The page shows whole seconds."""


def entry_of(collector: Collector, event: str) -> datetime:
    """Return when the first such entry of the ledger was made."""
    [path] = collector.data.glob("*/test.ledger.jsonl")
    entries = map(json.loads, path.read_text().splitlines())
    return datetime.fromisoformat(next(entry["ts"] for entry in entries if entry["event"] == event))


def last_book_message(collector: Collector) -> datetime:
    lines = [line for line in collector.lines() if b'"type":"orderbook_delta"' in line]
    return datetime.fromisoformat(json.loads(lines[-1])["ts"])


def since(page: Page) -> datetime:
    """Return since when it has been so, as the page says, to the second."""
    text = page.text(".verdict p")
    found = re.fullmatch(r"Since (\d\d:\d\d(?::\d\d)?) UTC, for .* s", text)
    assert found, text
    return datetime.fromisoformat(f"{datetime.now(UTC):%Y-%m-%d}T{found[1]}+00:00")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.needs("strace") if name == "behind" else ()) for name in STATES]
)
def test_the_page_says_the_state_and_since_when(browser: Browser, tmp_path: Path, name: str):
    state = STATES[name]
    began = datetime.now(UTC).replace(microsecond=0)
    with state.run(tmp_path) as running, browser.page(running.collector.listen) as page:
        page.wait_for_text("#live", "Live")
        running.fail()
        page.verdict(state.text, state.grade)
        shown = since(page)
        assert began <= shown <= datetime.now(UTC)
        # Where the data or the ledger knows it, it is exactly that.
        if name == "disconnected":
            assert timedelta() <= entry_of(running.collector, "disconnected") - shown < SECOND
        if name == "lost":
            assert timedelta() <= entry_of(running.collector, "gap") - shown < SECOND
            page.wait_for_text('[data-part="channels"] li', ": 1 gap, 3 messages missing")
            assert page.text('[data-part="channels"] li').startswith("trade (sid ")
        if name == "silent":  # Looked at once a second.
            assert shown > last_book_message(running.collector) - SECOND
            page.wait_for_text('[data-part="channels"] .bad', "silent")
            assert page.text("#brief") == "Not all of it comes"
        if name == "behind":
            page.wait_for_text('[data-part="behind"]', "behind")


def test_without_answers_the_page_says_so_and_then_goes_on(browser: Browser, tmp_path: Path):
    with collecting(tmp_path, *RATE) as collector, browser.page(collector.listen) as page:
        page.verdict("Collecting 3 markets, ", "good")
        before = page.call("title")
        collector.process.send_signal(signal.SIGSTOP)
        try:
            page.verdict("No answer from the collector", "bad")
            assert page.text(".verdict .note").startswith("It said last: Collecting 3 markets, ")
            assert page.text("#brief") == "No answer from the collector"
            assert page.call("title").startswith("No answer from the collector · ")
            assert page.text("#live") == "What is below is old"
            lasted = page.text(".verdict p")
            page.wait_for("before => document.querySelector('.verdict p').innerText !== before", lasted)
            assert page.text(".verdict p").partition(",")[0] == lasted.partition(",")[0]
        finally:
            collector.process.send_signal(signal.SIGCONT)
        page.verdict("Collecting 3 markets, ", "good")
        page.wait_for_text("#live", "Live")
        assert page.call("title") == before
        assert page.count("body.old") == 0
        assert page.problems == []


def test_a_collector_that_has_ended_does_not_answer(browser: Browser, tmp_path: Path):
    with collecting(tmp_path, "--fault", "close-after=400") as collector, browser.page(collector.listen) as page:
        page.verdict("No answer from the collector", "bad")
        assert collector.wait() == 75
