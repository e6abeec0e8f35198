"""Pacing, on a clock that the test sets: how many messages are due, and how long until the next one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from ssmd.reading.messages import Message
from ssmd.sim.feeds import Ending, MadeUp, Pace, Replay


class Counter:
    """A source that numbers its messages."""

    active = True
    made = 0

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]:
        return [b"%b at %d" % (payload, now_ns)]

    def produce(self, count: int, now_ns: int) -> list[bytes]:
        self.made += count
        return [b"x"] * count

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


def recording(*ms: int) -> Iterator[Message]:
    return iter([Message(b"%d" % at, 1_790_000_000_000_000_000 + at * 1_000_000, document=False) for at in ms])


def test_a_recording_keeps_the_distances_of_its_messages_divided_by_the_speed() -> None:
    feed = Replay(recording(0, 100, 100, 600), 0, 2.0, waits_for_command=True)
    assert feed.take(50.0, 512) == []
    assert feed.wait(50.0) == math.inf
    assert feed.receive(b"any command") == []
    assert feed.take(60.0, 512) == [b"0"]
    assert feed.wait(60.0) == pytest.approx(0.05)
    assert feed.take(60.04, 512) == []
    assert feed.take(60.06, 512) == [b"100", b"100"]
    assert feed.ending is None
    assert feed.take(60.31, 512) == [b"600"]
    assert feed.ending == Ending(1000, "end of recording")


def test_a_recording_is_sent_flat_out_and_in_bounded_pieces() -> None:
    feed = Replay(recording(0, 100_000, 200_000), 0, 0, waits_for_command=False)
    assert feed.take(1.0, 2) == [b"0", b"100000"]
    assert feed.wait(1.0) == 0
    big = Replay(iter([Message(b"x" * 200_000, None, document=False)] * 5), 0, 1, waits_for_command=False)
    assert [len(big.take(1.0, 512)) for _ in range(4)] == [2, 2, 1, 0]


def test_lost_messages_are_left_out_of_a_recording() -> None:
    feed = Replay(recording(*range(9)), 0, 0, waits_for_command=False)
    assert feed.take(0, 2) == [b"0", b"1"]
    feed.lose(3, "")
    assert feed.take(0, 2) == [b"5", b"6"]
    feed.lose(30, "")
    assert feed.ending == Ending(1000, "end of recording")
    assert feed.take(1, 2) == []
