"""Pauses, and requests for order books, go on whatever is done to the clock."""

from __future__ import annotations

from itertools import accumulate

import pytest
from kalshi_messages import connection, delta, error, snapshot, subscribed

from ssmd.contracts.events import SnapshotsRequested
from ssmd.contracts.exchange import Inspection
from ssmd.exchange.passed_time import PassedTime

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
TICK_MS = 1000


@pytest.mark.parametrize(
    ("steps", "passed"),
    [
        ([1000, 1001, 999], 3000),
        ([0, 0, 0], 3 * TICK_MS),
        ([-HOUR_MS, 1000], TICK_MS + 1000),
        ([HOUR_MS, 1000], HOUR_MS + 1000),
    ],
    ids=["as it should", "stands still", "set back", "set forward"],
)
def test_passed_time_ignores_a_clock_that_goes_back_or_jumps(steps, passed):
    time = PassedTime()
    assert time.tick(NOW_MS, TICK_MS) == 0
    assert [time.tick(now_ms, TICK_MS) for now_ms in accumulate(steps, initial=NOW_MS)][-1] == passed + TICK_MS


def test_while_the_clock_stands_still_order_books_are_asked_for_at_their_pace():
    markets = [f"KX-{number}" for number in range(50)]
    kalshi = connection({"channels": ["orderbook_delta"], "market_tickers": markets}, per_second=10)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
    kalshi.tick(NOW_MS)
    kalshi.inspect([snapshot(name, number) for number, name in enumerate(markets, start=1)])
    kalshi.inspect([delta(markets[0], 60)])
    asked = [books_in(kalshi.tick(NOW_MS)) for _ in range(6)]
    assert asked == [10, 10, 10, 10, 10, 0]


def test_while_the_clock_stands_still_a_pause_ends():
    kalshi = connection({"channels": ["trade"]})
    kalshi.inspect([error(27, head={"id": 1})])
    assert [len(kalshi.tick(NOW_MS).commands) for _ in range(3)] == [0, 1, 0]


def books_in(inspection: Inspection) -> int:
    """Return how many books the events ask for."""
    return sum(len(event.markets) for event in inspection.events if isinstance(event, SnapshotsRequested))
