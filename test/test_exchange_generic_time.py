"""The exchange's times, in any of the ways in which exchanges write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.exchange.generic.time import unix_ms

NS = 1_764_240_930_123_456_789


@pytest.mark.parametrize(
    "value",
    [
        1_764_240_930_123,
        "1764240930123",
        NS,
        str(NS),
        NS // 1000,
        NS / 1e9,
        "1764240930.123456",
        "2025-11-27T10:55:30.123456789Z",
        "2025-11-27T10:55:30.123Z",
        "2025-11-27t10:55:30.1239z",
        "2025-11-27 12:55:30.123+02:00",
        "2025-11-27T04:25:30.123456-06:30",
    ],
)
def test_the_form_shows_from_the_value(value):
    assert unix_ms(value) == NS // 10**6


@pytest.mark.parametrize(("unit", "in_ns"), [("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)])
@given(st.integers(10**18, 4 * 10**18))
def test_units(unit, in_ns, ns):
    value = ns // in_ns
    expected = value * in_ns // 10**6
    assert unix_ms(value, unit) == unix_ms(str(value), unit) == unix_ms(value) == expected


@given(st.datetimes(datetime(1971, 1, 1), datetime(9999, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_times_of_rfc_3339(moment, minutes):
    text = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    expected = (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    assert unix_ms(text) == unix_ms(text, "rfc3339") == expected


@pytest.mark.parametrize(
    "value",
    [None, True, {}, [], "", "soon", 0, -1, "-5", float("inf"), float("nan"), 10**40, "9" * 31, "1e9", "\uff11\uff17",
     "2025-11-27T10:55:30", "2025-13-27T10:55:30Z", "2025-11-27T25:55:30Z", "1969-12-31T23:59:59Z", "2025-11-27"],
)  # fmt: skip
@pytest.mark.parametrize("written", ["", "s", "ms", "us", "ns", "rfc3339"])
def test_what_is_no_time_is_unknown(value, written):
    assert unix_ms(value, written) is None


def test_a_number_is_no_text_and_a_text_is_no_number():
    assert unix_ms(1_764_240_930, "rfc3339") is None
    assert unix_ms("1764240930", "rfc3339") is None
    assert unix_ms("2025-11-27T10:55:30Z", "ms") is None
