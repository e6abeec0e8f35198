"""How fast ssmd sends: never more than the limit in any second, and no slower than the limit asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.exchange.pace import MARGIN_MS, Pace


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
