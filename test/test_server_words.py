"""Numbers and times as people read them."""

from __future__ import annotations

import pytest

from ssmd.server.words import bytes_text, clock, count, long_duration, rate, seconds_text
from ssmd.store.timestamps import parse_timestamp

NOW = parse_timestamp("2026-03-01T00:00:10.000000Z")


def test_unknown_is_never_0():
    assert {text(None) for text in (count, rate, bytes_text, seconds_text)} == {"?"}


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
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (999.6, "1.0 kB"), (99_600, "100 kB"), (1.5e9, "1.5 GB")]
)
def test_bytes(size, text):
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.04, "less than 0.1"), (1.23, "1.2"), (12.3, "12"), (1234.4, "1,234")]
)
def test_rates(value, text):
    assert rate(value) == text


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
