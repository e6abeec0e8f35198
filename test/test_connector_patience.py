"""How long the connector waits for a frame, and which of its limits ends the wait; without a socket or a clock."""

from __future__ import annotations

from typing import Any

import pytest

from ssmd.connector.patience import DATA, IDLE, LATE_FRAMES, PING, TICK, Patience

START = 1000.0


def waits(patience: Patience, now: float) -> tuple[Any, str]:
    """How long the next wait is, and which limit ends it."""
    return pytest.approx(patience.wait(now)), patience.limit


@pytest.mark.parametrize(
    ("idle", "data", "tick", "expected"),
    [
        (30, None, None, (15, PING)),
        (30, 10, None, (10, DATA)),
        (30, 90, None, (15, PING)),
        (30, None, 5, (5, TICK)),
        (30, None, 90, (15, PING)),
        (30, 10, 5, (5, TICK)),
        (30, 10, 20, (10, DATA)),
        # Of two limits that are reached at the same time, the one that a tick does not end counts.
        (30, 15, 15, (15, PING)),
        (30, 10, 10, (10, DATA)),
    ],
)
def test_the_first_wait_ends_with_the_shortest_limit(idle, data, tick, expected):
    assert waits(Patience(idle, data, tick, START), START) == expected


def test_without_other_limits_every_wait_lasts_until_the_ping():
    patience = Patience(30, None, None, START)
    for now in (START, START + 100, START + 10_000):
        assert waits(patience, now) == (15, PING)


@pytest.mark.parametrize("data", [None, 90])
def test_after_the_ping_the_rest_of_the_idle_time_is_waited_for(data):
    patience = Patience(30, data, None, START)
    for _ in range(3):
        assert waits(patience, START) == (15, PING)
        patience.passed(15)
        patience.pinged()
        assert waits(patience, START + 15) == (15, IDLE)
        patience.passed(4)
        assert waits(patience, START + 19) == (11, IDLE)
        patience.waited = 0.0  # Something has come.


def test_time_without_data_is_counted_from_the_last_data():
    patience = Patience(30, 10, None, START)
    assert waits(patience, START + 4) == (6, DATA)
    patience.last_data = START + 4
    assert waits(patience, START + 4) == (10, DATA)
    assert waits(patience, START + 13) == (1, DATA)


def test_waits_that_end_with_a_tick_add_up_to_the_idle_time_out():
    patience = Patience(1.0, None, 0.4, START)
    now = START
    for expected in ((0.4, TICK), (0.1, PING), (0.4, TICK), (0.1, IDLE)):
        assert waits(patience, now) == expected
        patience.passed(expected[0])
        now += expected[0]
        if expected[1] == PING:
            patience.pinged()
        patience.ticked(now, 0.4)


def test_time_in_which_the_caller_is_busy_does_not_count_as_idle():
    patience = Patience(1.0, None, 0.4, START)
    for number in range(10):
        now = START + 100 * number
        patience.ticked(now, 0.4)
        assert waits(patience, now) == (0.4, TICK)
    patience.passed(0.4)
    patience.ticked(now, 0.4)
    assert waits(patience, now) == (0.1, PING)


def test_any_frame_begins_the_idle_time_anew():
    patience = Patience(1.0, None, 0.4, START)
    patience.passed(0.4)
    assert waits(patience, START) == (0.1, PING)
    patience.passed(0.1)
    patience.pinged()
    patience.passed(0.4)
    assert waits(patience, START) == (0.1, IDLE)
    patience.waited = 0.0
    assert waits(patience, START) == (0.4, TICK)


def test_a_tick_is_due_at_its_time_whatever_has_come_meanwhile():
    patience = Patience(30, 60, 5, START)
    patience.last_data = START + 3
    assert waits(patience, START + 3) == (2, TICK)
    patience.waited = 0.0
    assert waits(patience, START + 4.5) == (0.5, TICK)
    assert patience.next_tick == START + 5
    patience.ticked(START + 6, 5)
    assert waits(patience, START + 6) == (5, TICK)
    assert patience.next_tick == START + 11


def test_a_tick_that_is_overdue_waits_for_nothing():
    assert waits(Patience(30, 60, 5, START), START + 8) == (0, TICK)


@pytest.mark.parametrize("tick", [None, 1])
def test_a_silence_that_is_over_comes_before_a_tick(tick):
    patience = Patience(30, 10, tick, START)
    assert waits(patience, START + 12) == (-2, DATA)
    patience = Patience(30, 40, 1, START)
    patience.passed(31)
    patience.pinged()
    assert waits(patience, START + 31) == (-1, IDLE)


@pytest.mark.parametrize("tick", [None, 0.001])
def test_when_the_time_for_data_is_over_only_so_many_frames_are_still_read(tick):
    patience = Patience(30, 10, tick, START)
    for _ in range(LATE_FRAMES):
        assert waits(patience, START + 11) == (-1, DATA)
    with pytest.raises(TimeoutError):
        patience.wait(START + 11)
    assert patience.limit == DATA


def test_late_frames_are_counted_anew_when_data_comes():
    patience = Patience(30, 10, None, START)
    for _ in range(LATE_FRAMES):
        patience.wait(START + 11)
    patience.last_data = START + 11
    assert waits(patience, START + 11) == (10, DATA)
    for _ in range(LATE_FRAMES):
        assert waits(patience, START + 22) == (-1, DATA)


def test_the_time_to_the_next_tick_may_change_with_each():
    patience = Patience(30, None, 5, START)
    patience.ticked(START + 5, 0.1)
    assert waits(patience, START + 5) == (pytest.approx(0.1), TICK)
    patience.ticked(START + 5.1, None)
    assert waits(patience, START + 5.1) == (15, PING)


def test_while_silence_is_expected_only_its_end_begins_the_time_for_data():
    patience = Patience(idle_seconds=1000, data_seconds=10, tick_seconds=None, now=0.0)
    assert (patience.wait(4.0), patience.limit) == (6.0, DATA)
    patience.expect_silence(True, 5.0)
    assert not patience.is_over()  # The wait that goes on may end, and nothing is wrong.
    assert (patience.wait(400.0), patience.limit) == (500.0, PING)
    patience.expect_silence(False, 400.0)
    assert (patience.wait(403.0), patience.limit) == (7.0, DATA)
    assert patience.is_over()
