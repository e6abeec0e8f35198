"""A day's file alone rebuilds every order book that was subscribed, from the place that the ledger says.

A run collects from the simulator over two midnights. The books are rebuilt as docs/reading.md describes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import gevent
import pytest
from process import make_tree

from ssmd import wiring
from ssmd.metadata.loader import load
from ssmd.proof.verify import verify
from ssmd.store.inventory import data_files
from ssmd.store.ledger import GAP, SNAPSHOT_REQUESTED, SNAPSHOTS_RECEIVED, decode_entry

pytestmark = pytest.mark.one_day

DAY_NS = 86_400_000_000_000
MARKETS = [f"KXSIM-{number}" for number in range(230)]

Books = dict[str, dict[str, Decimal]]
"""By market; the sizes by side and price."""


class Clock:
    """The time of day, which can be moved forward to shortly before midnight."""

    def __init__(self) -> None:
        self._ahead_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self._ahead_ns

    def move_to_midnight(self) -> None:
        self._ahead_ns += DAY_NS - self() % DAY_NS - 200_000_000


class Day:
    """One of the days of a storage, counted from 0, as far as it is written."""

    def __init__(self, storage: Path, number: int) -> None:
        self._storage = storage
        self._number = number

    def _lines(self, name: str) -> list[bytes]:
        found = sorted(self._storage.glob(f"*/{name}"))[self._number :]
        return found[0].read_bytes().rpartition(b"\n")[0].splitlines() if found else []

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line)["data"] for line in self._lines("test.jsonl")]

    def places(self, event: str) -> list[int]:
        """Return before which lines the entries with an event are."""
        entries = map(decode_entry, self._lines("test.ledger.jsonl"))
        return [entry.line for entry in entries if entry.event == event]

    def wait_for(self, event: str, count: int = 1) -> None:
        with gevent.Timeout(30):
            while len(self.places(event)) < count:
                gevent.sleep(0.05)

    def messages_of_opening(self) -> list[dict[str, Any]]:
        """Return the messages up to the place from which on all books are known."""
        return self.messages[: self.places(SNAPSHOTS_RECEIVED)[0]]


@contextmanager
def collecting(tmp_path: Path, endpoint: str, clock: Clock) -> Iterator[Path]:
    """Run a collector; yield the folder of its storage."""
    environment = f"subscribe: {{channels: [orderbook_delta, ticker], market_tickers: {json.dumps(MARKETS)}}}\n"
    tree = make_tree(tmp_path, endpoint, "kalshi", "", environment)
    deployment = load(tree, "test", date(2026, 1, 1), wiring.parts())
    runner = wiring.assemble(deployment, {}, ("127.0.0.1", 0), clock=clock).runner
    run = gevent.spawn(runner.run)
    try:
        yield tmp_path / "data"
    finally:
        runner.stop("the test")
        run.get(timeout=10)


def fold(books: Books, message: dict[str, Any]) -> None:
    """Take one message into the books."""
    if message["type"] == "orderbook_snapshot":
        sides = {side: message["msg"].get(f"{side}_dollars_fp", []) for side in ("yes", "no")}
        books[message["msg"]["market_ticker"]] = {
            f"{side} {price}": Decimal(size) for side, levels in sides.items() for price, size in levels
        }
    elif message["type"] == "orderbook_delta" and message["msg"]["market_ticker"] in books:
        book, msg = books[message["msg"]["market_ticker"]], message["msg"]
        level = f"{msg['side']} {msg['price_dollars']}"
        book[level] = book.get(level, Decimal(0)) + Decimal(msg["delta_fp"])
        if not book[level]:
            del book[level]


def compare(books: Books, messages: list[dict[str, Any]]) -> set[str]:
    """Take messages into the books. Return the markets of the snapshots in them, which must be what is known."""
    compared = set()
    for message in messages:
        market = message["msg"].get("market_ticker")
        before = books.get(market)
        fold(books, message)
        if message["type"] == "orderbook_snapshot":
            assert books[market] == before
            compared.add(market)
    return compared


@pytest.mark.parametrize("way", ["next", "current"])
def test_the_file_of_a_day_that_begins_in_a_run_has_every_book(tmp_path, way):
    clock = Clock()
    with collecting(tmp_path, f"sim://kalshi?rate=2000&snapshot-seq={way}", clock) as storage:
        first, second, third = (Day(storage, number) for number in range(3))
        first.wait_for(SNAPSHOTS_RECEIVED)
        for following in (second, third):
            clock.move_to_midnight()
            following.wait_for(SNAPSHOTS_RECEIVED)
    assert len(second.places(SNAPSHOT_REQUESTED)) == 2  # 200 books a second.
    books: Books = {}
    for message in second.messages_of_opening():
        fold(books, message)
    assert set(books) == set(MARKETS)
    for message in second.messages[second.places(SNAPSHOTS_RECEIVED)[0] :]:
        fold(books, message)
    # The next day's first snapshots are what has become of them.
    assert compare(books, third.messages_of_opening()) == set(MARKETS)
    assert second.places(GAP) == third.places(GAP) == []
    assert [verify(file).findings for file in data_files([storage])] == [[], [], []]


@pytest.mark.parametrize("way", ["next", "current"])
def test_after_a_gap_every_book_is_right_again(tmp_path, way):
    clock = Clock()
    endpoint = f"sim://kalshi?rate=2000&snapshot-seq={way}&gap-after=3000:orderbook_delta"
    with collecting(tmp_path, endpoint, clock) as storage:
        first, second = Day(storage, 0), Day(storage, 1)
        first.wait_for(SNAPSHOTS_RECEIVED, 2)
        clock.move_to_midnight()
        second.wait_for(SNAPSHOTS_RECEIVED)
    [gap] = first.places(GAP)
    [_, complete] = first.places(SNAPSHOTS_RECEIVED)
    books: Books = {}
    for message in first.messages[gap:complete]:
        fold(books, message)
    assert set(books) == set(MARKETS)
    for message in first.messages[complete:]:
        fold(books, message)
    assert compare(books, second.messages_of_opening()) == set(MARKETS)
    assert [verify(file).findings for file in data_files([storage])] == [[], []]
