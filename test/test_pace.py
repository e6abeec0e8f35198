"""How fast ssmd sends: never more than the limit in any second, and no slower than the limit asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.pace import LONGEST_SECONDS, MARGIN_MS, Pace, Pause


def test_without_a_limit_everything_may_be_sent_at_once():
    pace = Pace(None)
    pace.sent(0, 10**9)
    assert not pace.is_limited
    assert pace.allowed(0) >= 10**9
    assert pace.wait_ms(0) == 0


def test_what_is_sent_counts_for_a_second_and_the_margin():
    pace = Pace(3)
    assert (pace.most, pace.allowed(0)) == (3, 3)
    pace.sent(0, 2)
    pace.sent(500)
    assert pace.allowed(999) == 0
    assert pace.wait_ms(999) == 1 + MARGIN_MS
    assert pace.allowed(1000 + MARGIN_MS) == 2
    assert pace.wait_ms(1000 + MARGIN_MS) == 0


@pytest.mark.parametrize(("per_second", "most", "wait_ms"), [(0.5, 1, 2000), (1, 1, 1000), (2.9, 2, 1000)])
def test_a_limit_need_not_be_a_whole_number(per_second, most, wait_ms):
    pace = Pace(per_second)
    assert pace.most == most
    pace.sent(0, most)
    assert pace.wait_ms(0) == wait_ms + MARGIN_MS


def test_more_than_the_limit_that_was_sent_all_the_same_counts():
    pace = Pace(2)
    pace.sent(0)
    pace.sent(100, 3)
    assert pace.wait_ms(200) == 900 + MARGIN_MS


@given(st.integers(1, 9), st.lists(st.integers(0, 700), max_size=60))
def test_no_second_has_more_than_the_limit(per_second, steps):
    pace, now, sent = Pace(per_second), 0.0, []
    for step in steps:
        now += step
        if not pace.allowed(now):
            now += pace.wait_ms(now)
        assert pace.allowed(now) > 0
        assert pace.wait_ms(now) == 0
        pace.sent(now)
        sent.append(now)
    for begin in sent:
        assert sum(begin <= at < begin + 1000 for at in sent) <= per_second


@pytest.mark.parametrize("per_second", [None, 2])
def test_nothing_is_allowed_before_the_end_of_a_hold(per_second):
    pace = Pace(per_second)
    pace.hold(5000)
    pace.hold(3000)
    assert (pace.allowed(1000), pace.wait_ms(1000)) == (0, 4000)
    assert (pace.allowed(5000) > 0, pace.wait_ms(5000)) == (True, 0)
    pace.sent(5000, 2)
    pace.hold(5500)
    assert pace.wait_ms(5000) == (500 if per_second is None else 1000 + MARGIN_MS)


def test_few_at_once_of_a_higher_limit():
    pace, now, sent = Pace(10, at_once=3), 0.0, []
    while now < 5000:
        if pace.allowed(now):
            pace.sent(now)
            sent.append(now)
        else:
            now += pace.wait_ms(now)
    assert sent[:4] == [0, 0, 0, 300 + MARGIN_MS]
    assert max(sum(begin <= at < begin + 1000 for at in sent) for begin in sent) == 9
    assert Pace(2, at_once=3).most == 2


def test_a_pause_doubles_with_each_refusal_up_to_a_minute():
    pause, now, found = Pause(), 10_000.0, []
    for _ in range(8):
        assert pause.wait_ms(now) == 0
        assert pause.refused()
        found.append(pause.wait_ms(now))
        assert not pause.refused(), "within a pause"
        now += found[-1]
    assert found == [1000, 2000, 4000, 8000, 16_000, 32_000, 1000 * LONGEST_SECONDS, 1000 * LONGEST_SECONDS]


def test_a_pause_is_as_long_as_the_exchange_asks():
    pause = Pause()
    pause.refused(90.0)
    assert (pause.wait_ms(0), pause.wait_ms(1000), pause.wait_ms(90_000)) == (90_000, 89_000, 0)
    pause.refused(0.5)
    assert pause.wait_ms(90_000) == 2000


def test_what_is_accepted_halves_the_pause_and_a_long_time_forgets_it():
    pause = Pause()
    now = 0.0
    for _ in range(3):
        pause.refused()
        now += pause.wait_ms(now)
        pause.wait_ms(now)
    assert pause.seconds == 4
    pause.accepted()
    pause.refused()
    assert pause.wait_ms(now) == 4000
    pause.wait_ms(now + 4000 + 2000 * LONGEST_SECONDS)
    assert pause.seconds == 0
