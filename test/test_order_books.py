"""A day's file alone rebuilds every order book that was subscribed, from the line that its ledger names.

A real collector records a real simulator over two midnights. What is folded from the second day's file, and from
nothing before it, is compared with the books that the exchange sends at the second midnight.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from books import Books
from moved_clock import DAY_SECONDS, MovedClock
from patience import PATIENCE
from process import Collector, Simulator

from ssmd.proof.verify import verify
from ssmd.store.inventory import data_files
from ssmd.store.line import decode_line

pytestmark = pytest.mark.one_day

MARKETS = [f"KXBOOK-{number:04d}" for number in range(10_000)]
FEW = MARKETS[:24]
RATE = 400
BESIDES = 10
"""The seconds that all snapshots may take beyond the time for which they are paced: with the default of 200 books a
second, 10,000 books are known within 60 s of midnight."""


class Day:
    """What a collector has recorded of one day."""

    def __init__(self, collector: Collector, midnight: float) -> None:
        self.begins = midnight
        self._folder = collector.data / f"{datetime.fromtimestamp(midnight, UTC):%Y-%m-%d}"

    def entries(self, event: str = "") -> list[dict[str, Any]]:
        path = self._folder / "test.ledger.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [entry for entry in found if event in ("", entry["event"])]

    def messages(self) -> list[dict[str, Any]]:
        lines = (self._folder / "test.jsonl").read_bytes().splitlines(keepends=True)
        return [json.loads(decode_line(line).payload) for line in lines if line.endswith(b"\n")]

    def wait_for(self, event: str, after: int = -1) -> dict[str, Any]:
        """Wait until the ledger has an entry of an event after a line of the data; return the first."""
        until = time.monotonic() + PATIENCE
        while not (found := [entry for entry in self.entries(event) if entry["line"] > after]):
            assert time.monotonic() < until, f"no {event} in {self.entries()}"
            time.sleep(0.05)
        return found[0]

    def after(self, entry: dict[str, Any]) -> float:
        """Return how many seconds after its midnight an entry was written."""
        return datetime.fromisoformat(entry["ts"]).timestamp() - self.begins


@contextmanager
def collecting(
    folder: Path, *options: str, markets: list[str] = FEW, per_second: int = 200
) -> Iterator[tuple[Collector, MovedClock]]:
    clock = MovedClock(folder)
    environment = (
        "subscribe:\n"
        f"- {{channels: [orderbook_delta], market_tickers: [{', '.join(markets)}]}}\n"
        "- {channels: [ticker, trade]}\n"
        f"snapshots: {{per_second: {per_second}}}\n"
    )
    with (
        Simulator("--rate", str(RATE), *options) as simulator,
        Collector(folder, simulator.endpoint, environment=environment, variables=clock.variables) as collector,
    ):
        collector.wait_for_lines(len(markets) + RATE)
        yield collector, clock
        assert collector.end() == 0, collector.events[-1]
        assert collector.other == []
    for file in data_files([collector.data]):
        assert verify(file).findings == []


def after_midnight(collector: Collector, clock: MovedClock) -> Day:
    """Let a day begin, and wait until its ledger says that all books are known, and for some more messages."""
    day = Day(collector, clock.to_midnight())
    day.wait_for("snapshots_received")
    collector.wait_for_lines(len(collector.lines()) + RATE)
    return day


def folded(day: Day, markets: list[str], per_second: int) -> Books:
    """Fold a day's file; check that every book is known from the line that the ledger names, and not before it."""
    [received] = day.entries("snapshots_received")
    messages = day.messages()
    books = Books().take_all(messages[: received["line"] - 1])
    assert len(books.known) == len(markets) - 1
    books.take(messages[received["line"] - 1])
    assert sorted(books.known) == markets
    assert (received["channel"], received["markets"]) == ("orderbook_delta", len(markets))
    assert day.after(received) <= len(markets) / per_second + BESIDES
    return books.take_all(messages[received["line"] :])


@pytest.mark.parametrize(
    ("markets", "per_second", "seq"),
    [(FEW, 200, "next"), (FEW, 200, "current"), (MARKETS, 5000, "next")],
    ids=["few", "few, answers not numbered", "10,000"],
)
def test_the_file_of_a_day_gives_the_books_that_the_exchange_sends_at_its_end(
    tmp_path: Path, markets: list[str], per_second: int, seq: str
) -> None:
    options = ("--snapshot-seq", seq)
    with collecting(tmp_path, *options, markets=markets, per_second=per_second) as (collector, clock):
        day = after_midnight(collector, clock)
        next_day = after_midnight(collector, clock)
    books = folded(day, markets, per_second)
    assert (books.gaps, day.entries("gap"), next_day.entries("gap")) == (0, [], [])
    at_the_end = books.take_all(next_day.messages())
    assert (sorted(at_the_end.agreed), at_the_end.wrong) == (markets, [])
    requests = day.entries("snapshot_requested")
    assert {entry["why"] for entry in requests} == {"day"}
    assert sorted(market for entry in requests for market in entry["markets"]) == markets


@pytest.mark.parametrize("seq", ["next", "current"])
def test_after_a_gap_the_books_are_unknown_until_the_ledger_says_that_all_have_come(tmp_path: Path, seq: str) -> None:
    """The gap takes three changes of books with it: a book folded over it would be wrong."""
    faults = ("--fault", f"gap-after={RATE}:orderbook_delta", "--snapshot-seq", seq)
    with collecting(tmp_path, *faults) as (collector, clock):
        day = Day(collector, clock.now() // DAY_SECONDS * DAY_SECONDS)
        gap = day.wait_for("gap")
        received = day.wait_for("snapshots_received", after=gap["line"])
        collector.wait_for_lines(len(collector.lines()) + RATE)
        next_day = after_midnight(collector, clock)
    messages = day.messages()
    books = Books().take_all(messages[: gap["line"]])
    assert (books.gaps, sorted(books.known)) == (0, FEW)
    books.take(messages[gap["line"]])
    assert (books.gaps, list(books.known)) == (1, [])
    books.take_all(messages[gap["line"] + 1 : received["line"]])
    assert sorted(books.known) == FEW
    [requested] = day.entries("snapshot_requested")
    assert (requested["why"], sorted(requested["markets"])) == ("gap", FEW)
    books.take_all(messages[received["line"] :]).take_all(next_day.messages())
    assert (sorted(books.agreed), books.wrong, books.gaps) == (FEW, [], 1)
