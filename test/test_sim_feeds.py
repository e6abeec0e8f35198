"""Pacing, on a clock that the test sets: how many messages are due, and how long until the next one."""

from __future__ import annotations

import math

import pytest

from ssmd.sim.feeds import MadeUp, Pace


class Counter:
    """A source that numbers its messages."""

    active = True
    made = 0

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]:
        return [b"%b at %d" % (payload, now_ns)]

    def produce(self, count: int, now_ns: int) -> list[bytes]:
        self.made += count
        return [b"x"] * count

    def announce(self, now_ns: int) -> list[bytes]:
        return []

    def quiet_seconds(self, now_ns: int) -> float:
        return math.inf

    def lose(self, count: int, channel: str) -> None: ...
    def mute(self, channel: str) -> None: ...
    def fail(self, code: int) -> bytes:
        return b""


@pytest.mark.parametrize(("rate", "tick"), [(50, 0.005), (3, 0.02), (50_000, 0.005), (0.5, 0.25)])
def test_a_rate_is_kept_over_minutes(rate: float, tick: float) -> None:
    pace = Pace(rate)
    total, now = 0, 1000.0
    while now < 1060.0:
        due = pace.due(now, 512)
        pace.count(due)
        total += due
        now += tick
    assert rate * 60 - max(1, rate * tick) - 1 <= total <= rate * 60 + 1


def test_less_than_one_message_a_second_is_kept_too() -> None:
    pace = Pace(0.1)
    total = 0
    for tick in range(103):
        due = pace.due(tick * 0.97, 512)
        pace.count(due)
        total += due
    assert total == 9


def test_messages_are_evenly_spaced() -> None:
    pace = Pace(50)
    assert pace.due(10.0, 512) == 0
    assert pace.wait(10.0) == pytest.approx(0.02)
    assert pace.due(10.021, 512) == 1
    pace.count(1)
    assert pace.wait(10.021) == pytest.approx(0.019)


def test_a_rate_of_zero_is_flat_out() -> None:
    pace = Pace(0)
    assert pace.due(10.0, 512) == 512
    assert pace.wait(10.0) == 0


def test_after_a_pause_at_most_a_second_is_made_up_for() -> None:
    pace = Pace(100)
    pace.due(10.0, 512)
    assert pace.due(40.0, 512) == 100
    pace.count(100)
    assert pace.due(40.0, 512) == 0
    assert pace.due(40.011, 512) == 1


def test_nothing_is_due_for_the_time_without_a_subscription() -> None:
    source = Counter()
    feed = MadeUp(source, 10, lambda: 1_790_000_000.5)
    source.active = False
    assert feed.take(5.0, 512) == []
    assert feed.wait(5.0) == math.inf
    source.active = True
    assert feed.take(900.0, 512) == []
    assert len(feed.take(900.25, 512)) == 2
    assert feed.receive(b"hello") == [b"hello at 1790000000500000000\n"]
    assert feed.ending is None
