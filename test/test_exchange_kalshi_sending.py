"""Kalshi's commands at the pace of `rate_limit_per_second`, with times that the test sets."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from kalshi_messages import connection, error, subscribed

from ssmd.exchange.kalshi.section import TICKERS_PER_COMMAND
from ssmd.exchange.kalshi.sending import SOON_SECONDS, TICK_SECONDS

NOW_MS = 1_790_000_000_000
COMMANDS = 7
LONG = {"channels": ["trade"], "market_tickers": [f"KX-{number}" for number in range(COMMANDS * TICKERS_PER_COMMAND)]}


def ids(commands: Any) -> list[int]:
    return [json.loads(command)["id"] for command in commands]


class Run:
    """A connection whose ticks come when they are due."""

    def __init__(self, per_second: float | None, subscribe: Any = LONG) -> None:
        self.kalshi = connection(subscribe, commands_per_second=per_second)
        self.now = NOW_MS
        self.sent = [(NOW_MS, command_id) for command_id in ids(self.kalshi.commands())]

    def tick(self) -> list[int]:
        self.now += int(1000 * (self.kalshi.tick_seconds or 0))
        found = ids(self.kalshi.tick(self.now).commands)
        self.sent += [(self.now, command_id) for command_id in found]
        return found


@pytest.mark.parametrize("per_second", [1, 2, 3.5])
def test_the_opening_goes_out_at_the_pace_and_in_order(per_second):
    run = Run(per_second)
    assert run.kalshi.unsent() == COMMANDS - int(per_second)
    while run.kalshi.unsent():
        run.tick()
    assert [command_id for _, command_id in run.sent] == list(range(1, COMMANDS + 1))
    for begin, _ in run.sent:
        assert sum(begin <= at < begin + 1000 for at, _ in run.sent) <= per_second
    assert run.now - NOW_MS <= 1250 * (COMMANDS / int(per_second) - 1) + 1000, "no slower than it has to be"
    assert run.kalshi.tick_seconds in (TICK_SECONDS, pytest.approx(1.1, abs=0.2))


def test_without_a_limit_all_is_sent_at_once_and_ticks_are_as_seldom_as_ever():
    run = Run(None)
    assert len(run.sent) == COMMANDS
    assert run.kalshi.unsent() == 0
    assert run.kalshi.tick_seconds == TICK_SECONDS


def test_a_channel_of_which_a_part_is_not_sent_says_so():
    run = Run(4)
    assert run.kalshi.tick_seconds == SOON_SECONDS
    assert [state.unsent for state in run.kalshi.channels()] == [True]
    while run.kalshi.unsent():
        run.tick()
    assert [(state.unsent, state.pending) for state in run.kalshi.channels()] == [(False, True)]


def test_what_is_refused_for_now_and_what_was_not_sent_yet_is_sent_once_each():
    run = Run(2)
    run.kalshi.inspect([error(27)])
    while run.kalshi.unsent():
        run.tick()
    assert sorted(command_id for _, command_id in run.sent) == [1, 1, 2, 2, *range(3, COMMANDS + 1)]


def test_order_books_are_asked_for_at_the_pace():
    run = Run(1, {"channels": ["orderbook_delta"], "market_tickers": [f"KX-{number}" for number in range(400)]})
    run.kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
    run.tick()
    run.now += 60_000  # The snapshots do not come.
    while len(run.sent) < 6:
        run.tick()
    times = [at for at, _ in run.sent]
    assert all(later - earlier >= 1000 for earlier, later in itertools.pairwise(times[1:]))
