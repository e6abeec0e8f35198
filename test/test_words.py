"""Percentages, times, counts, sizes and rates as text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssmd.store.timestamps import parse_timestamp
from ssmd.words import (
    bytes_text,
    clock,
    count,
    counted,
    duration,
    long_duration,
    more_or_less,
    percent,
    rate,
    seconds_text,
    short_count,
    short_rate,
)

NOW = parse_timestamp("2026-03-01T00:00:10.000000Z")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (percent(None), "?"),
        (percent(100), "100.00 %"),
        (percent(99.99999999999), "99.99 %"),
        (percent(99.99), "99.99 %"),
        (percent(99.98999), "99.98 %"),
        (percent(65.2777), "65.27 %"),
        (percent(100 * (1 - 0.55)), "45.00 %"),
        (percent(0.005), "0.00 %"),
        (percent(0), "0.00 %"),
        (count(None), "?"),
        (count(0), "0"),
        (count(12_345, "/s"), "12,345/s"),
        (more_or_less(None), ""),
        (more_or_less(50.4), "+50 %"),
        (more_or_less(-0.4), "0 %"),
        (more_or_less(-99.7), "-99 %"),
        (more_or_less(-100), "-100 %"),
        (duration(0), "0.0 s"),
        (duration(0.000001), "1 ms"),
        (duration(0.04), "40 ms"),
        (duration(0.1), "0.1 s"),
        (duration(4.24), "4.2 s"),
        (duration(3725), "01:02:05"),
        (duration(90_000), "1 d 01:00:00"),
        (bytes_text(None), "?"),
        (seconds_text(None), "?"),
        (bytes_text(999), "999 B"),
        (bytes_text(12_345), "12.3 kB"),
        (bytes_text(2e18), "2,000,000 TB"),
        (bytes_text(999.6), "1.00 kB"),
        (bytes_text(99_960), "100 kB"),
        (counted(0, "gap"), "0 gaps"),
        (counted(1, "gap"), "1 gap"),
        (counted(2345, "gap"), "2,345 gaps"),
        (counted(None, "gap"), "? gaps"),
        (short_count(1_234_567), "1.23 M"),
        (short_count(0), "0"),
        (rate(None), "?"),
        (rate(0.04), "less than 0.1"),
        (rate(1234.4), "1,234"),
        (short_rate(0), "0/s"),
        (short_rate(None), "?"),
        (short_rate(0.001), "<0.1/s"),
        (short_rate(0.44), "0.4/s"),
        (short_rate(12_345.6), "12,346/s"),
    ],
)
def test_a_figure_as_text(shown, text):
    assert shown == text


@given(st.integers(0, 10_000))
def test_a_percentage_of_two_digits_is_shown_as_it_is(hundredths):
    assert percent(hundredths / 100) == f"{hundredths // 100}.{hundredths % 100:02} %"


@given(st.integers(0, 86_400 * 10**6))
@example(86_400 * 10**6 - 1)
@example(43_200 * 10**6 - 1)
@example(8_640_000 - 1)
def test_a_percentage_is_never_rounded_up(covered):
    """`covered`: the microseconds of a day in which a connection was open. The files have no shorter times."""
    whole = 86_400 * 10**6
    assert percent(100 * covered / whole) == f"{covered * 100 // whole}.{covered * 10_000 // whole % 100:02} %"


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0, "0 ms", "0 s"),
        (0.0001, "1 ms", "0 s"),
        (0.05, "50 ms", "0 s"),
        (0.25, "0.2 s", "0 s"),
        (9.96, "10 s", "9 s"),
        (94, "94 s", "1 min 34 s"),
        (300, "5 min", "5 min"),
        (11_100, "3 h 5 min", "3 h 5 min"),
        (86_400, "1 d", "1 d"),
        (86_400 * 2 + 59, "2 d", "2 d"),
    ],
)
def test_seconds(seconds, short, long):
    assert (seconds_text(seconds), long_duration(seconds)) == (short, long)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ("2026-03-01T09:30:00.000000Z", "09:30"),
        ("2026-03-01T09:30:01.999999Z", "09:30:01"),
        ("2026-02-28T23:59:00.000000Z", "2026-02-28 23:59"),
    ],
)
def test_times_of_day_have_the_date_when_it_is_not_today(time, text):
    assert clock(parse_timestamp(time), NOW) == text
