"""When a reader naps, told by the reads it has made."""

from __future__ import annotations

import pytest

from ssmd.connector.naps import Naps

READ_BYTES = 64 * 1024
SECONDS = 0.002


@pytest.mark.parametrize(
    ("rate", "nap"), [(1_000_000, SECONDS), (10_000_000, SECONDS), (20_000_000, 0.001), (100_000_000, 0.0)]
)
def test_the_more_comes_the_shorter_the_naps(rate: int, nap: float) -> None:
    naps = Naps(SECONDS, READ_BYTES)
    now, left = 0.0, 0.0
    while now < 1.0:
        passed = naps.due + 0.0001
        now += passed
        left += rate * passed
        size = min(int(left), READ_BYTES)
        left -= size
        naps.learn(size, 0.0, now, False)
    naps.learn(300, 0.0001, now, False)
    assert naps.due == nap


def test_long_naps_are_cut_to_what_a_read_can_take() -> None:
    naps = Naps(0.3, READ_BYTES)
    for turn in range(1, 200):
        naps.learn(30_000 // 3, 0.0, turn * 0.1, False)  # 100 kB a second
    assert naps.due == pytest.approx(0.245)


def test_after_a_silence_there_is_no_nap() -> None:
    naps = Naps(SECONDS, READ_BYTES)
    naps.learn(300, 1.0, 1.0, False)
    assert naps.due == 0.0
    naps.learn(300, 0.0001, 1.0001, False)
    assert naps.due == SECONDS


def test_a_nap_that_gathers_nothing_is_the_last() -> None:
    naps = Naps(SECONDS, READ_BYTES)
    naps.learn(300, 0.0001, 1.0, False)
    assert naps.due == SECONDS
    naps.learn(300, 0.75 * SECONDS, 1.004, False)
    assert naps.due == 0.0


def test_behind_much_there_may_be_more() -> None:
    """What the window of a socket could not take comes as soon as it is read, and waits for no nap."""
    naps = Naps(SECONDS, READ_BYTES)
    naps.learn(300, 0.0001, 1.0, False)
    naps.learn(READ_BYTES // 4, 0.0, 1.003, False)
    assert naps.due == 0.0
    naps.learn(300, 0.0001, 1.0031, False)
    assert naps.due == SECONDS


def test_a_read_that_took_all_there_was_room_for_may_have_left_something() -> None:
    """The room is small when the beginning of a long frame lies in the buffer."""
    naps = Naps(SECONDS, READ_BYTES)
    naps.learn(4000, 0.0, 1.0, True)
    assert naps.due == 0.0


def test_after_a_short_nap_a_longer_wait_is_a_silence() -> None:
    naps = Naps(1.0, READ_BYTES)
    for turn in range(200):
        naps.learn(10_000, 0.0, 1.0 + turn * 0.0005, False)
    assert 0 < naps.due < 0.01
    naps.learn(300, 0.2, 1.4, False)
    assert naps.due == 0.0


def test_without_coalescing_there_is_never_a_nap() -> None:
    naps = Naps(0.0, READ_BYTES)
    for turn in range(100):
        naps.learn(300, 0.0, 1.0 + turn / 1000, False)
        assert naps.due == 0.0
