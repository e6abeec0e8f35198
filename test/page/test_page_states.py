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


SINCE = {
    "collecting": r"Since the start of the run(?: at TIME)?, for .* s",
    "silent": r"The last one came at TIME",
    "disconnected": r"For .* s",
    "refused": r"Since TIME, for .* s",
    "lost": r"What comes is recorded\. This is shown until .* UTC, unless more are lost\.",
    "behind": r"Since TIME, for .* s",
    "closed": r"Waiting since TIME, for .* s",
    "no answer": r"Since TIME, for .* s",
}
"""What stands below the sentence: the time itself may be in that."""
TIME = r"(\d\d:\d\d(?::\d\d)?) UTC"


def since(page: Page, name: str) -> datetime:
    """Return since when it has been so, as the page says, to the second."""
    text = page.text(".verdict p")
    below = re.fullmatch(SINCE[name].replace("TIME", TIME), text)
    assert below, text
    found = below if below.groups() and below[1] else re.search(TIME, page.text("h1"))
    assert found
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
        shown = since(page, name)
        assert began <= shown <= datetime.now(UTC)
        # Where the data or the ledger knows it, it is exactly that.
        if name == "disconnected":
            assert timedelta() <= entry_of(running.collector, "disconnected") - shown < SECOND
        if name == "lost":
            assert timedelta() <= entry_of(running.collector, "gap") - shown < SECOND
            page.wait_for_text('[data-part="channels"] li', ": 1 gap, 3 messages lost")
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
            assert page.text(".verdict .note").startswith(
                "The values below are from the last answer, which was: Collecting 3 markets, "
            )
            page.wait_for("[...document.querySelectorAll('[data-age]')].every(each => each.textContent === '?')")
            assert page.count("[data-part=ages] [data-age]") == 3
            assert page.text("#brief") == "No answer from the collector"
            assert page.call("title").startswith("No answer from the collector · ")
            assert page.text("#live") == "Not live"
            lasted = page.text(".verdict p")
            page.wait_for("before => document.querySelector('.verdict p').innerText !== before", lasted)
            assert page.text(".verdict p").partition(",")[0] == lasted.partition(",")[0]
        finally:
            collector.process.send_signal(signal.SIGCONT)
        page.verdict("Collecting 3 markets, ", "good")
        page.wait_for("[...document.querySelectorAll('[data-age]')].every(each => each.textContent.endsWith(' ago'))")
        page.wait_for_text("#live", "Live")
        assert page.call("title") == before
        assert page.count("body.old") == 0
        assert page.problems == []


def test_a_collector_that_has_ended_does_not_answer(browser: Browser, tmp_path: Path):
    with collecting(tmp_path, "--fault", "close-after=400") as collector, browser.page(collector.listen) as page:
        page.verdict("No answer from the collector", "bad")
        assert collector.wait() == 75
