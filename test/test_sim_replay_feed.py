"""Recorded messages are due at their recorded distances, in order, and at once when it is to be flat out."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from ssmd.reading.messages import Batch
from ssmd.sim.feeds import Ending
from ssmd.sim.replay_feed import Replay
from ssmd.store.line import LineEncoder

NS = 1_790_000_000_000_000_000


def recording(*ms: int) -> Iterator[Batch]:
    """Return messages that have their own time as text, in batches of two."""
    sent = [b"%d" % at for at in ms]
    lines = [LineEncoder("test").encode(NS + at * 1_000_000, [b"%d" % at]) for at in ms]
    return iter([Batch(sent[at : at + 2], lines[at : at + 2]) for at in range(0, len(ms), 2)])


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
    big = Replay(iter([Batch([b"x" * 200_000] * 5, None)]), 0, 1, waits_for_command=False)
    assert [len(big.take(1.0, 512)) for _ in range(4)] == [2, 2, 1, 0]


def test_lost_messages_are_left_out_of_a_recording() -> None:
    feed = Replay(recording(*range(9)), 0, 0, waits_for_command=False)
    assert feed.take(0, 2) == [b"0", b"1"]
    feed.lose(3, "")
    assert feed.take(0, 2) == [b"5", b"6"]
    feed.lose(30, "")
    assert feed.ending == Ending(1000, "end of recording")
    assert feed.take(1, 2) == []
