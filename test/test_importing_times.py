"""Times of other programs are read exactly, and a wrong unit is found."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.importing.times import FORMATS, parse_time
from ssmd.store.timestamps import day_begins

NOW = day_begins("2026-11-27")
SECOND = 1_633_998_512


@pytest.mark.parametrize(
    ("text", "time_format", "ns"),
    [
        ("1633998512", "s", SECOND * 10**9),
        ("1633998512.0633569", "s", SECOND * 10**9 + 63_356_900),
        ("1633998512.0633569991234", "s", SECOND * 10**9 + 63_356_999),
        (f"1633998512.{'9' * 40}", "s", (SECOND + 1) * 10**9 - 1),
        ("1.633998512e9", "s", SECOND * 10**9),
        ("1633998512063", "ms", SECOND * 10**9 + 63_000_000),
        ("1633998512063.25", "ms", SECOND * 10**9 + 63_250_000),
        ("1633998512063356", "us", SECOND * 10**9 + 63_356_000),
        ("1633998512063356789", "ns", SECOND * 10**9 + 63_356_789),
        ("2021-10-12T00:28:32Z", "iso", SECOND * 10**9),
        ("2021-10-12T00:28Z", "iso", (SECOND - 32) * 10**9),
        ("2021-10-12 00:28:32.063356789Z", "iso", SECOND * 10**9 + 63_356_789),
        ("2021-10-12T00:28:32,5z", "iso", SECOND * 10**9 + 500_000_000),
        ("2021-10-12T00:28:32.0633567891234Z", "iso", SECOND * 10**9 + 63_356_789),
        ("2021-10-12T02:28:32+02:00", "iso", SECOND * 10**9),
        ("2021-10-11T19:58:32.25-0430", "iso", SECOND * 10**9 + 250_000_000),
        ("2021-10-12T02:28:32 +02", "iso", SECOND * 10**9),
        ("2021-10-12T00:28:32.1", "iso-utc", SECOND * 10**9 + 100_000_000),
        ("2021-10-12T02:28:32+02:00", "iso-utc", SECOND * 10**9),
    ],
)
def test_a_time_is_exact_to_the_nanosecond(text, time_format, ns):
    assert parse_time(text, time_format, NOW) == ns


@given(st.integers(day_begins("2000-01-01"), NOW), st.integers(0, 9))
def test_a_fraction_of_any_length_loses_nothing_but_what_is_cut(ns, digits):
    kept = ns - ns % 10 ** (9 - digits)
    fraction = f".{ns % 10**9:09d}"[: digits + 1] if digits else ""
    assert parse_time(f"{ns // 10**9}{fraction}", "s", NOW) == kept


@pytest.mark.parametrize(
    ("text", "time_format", "what"),
    [
        ("1633998512", "ms", "before the year 2000 when it is read as `ms`; its unit seems to be s: --time-format s"),
        ("1633998512063", "s", "in the future when it is read as `s`; its unit seems to be ms: --time-format ms"),
        ("1633998512063356", "ns", "--time-format us"),
        ("0", "s", "lies before the year 2000 when it is read as `s`"),
        ("1e99", "s", "lies in the future"),
        ("-1e99", "s", "lies before"),
        ("1633998512", "iso", "is a number, and not a time of ISO 8601; its unit seems to be s: --time-format s"),
        ("1", "iso", "is a number, and not a time of ISO 8601; say its unit with --time-format: s, ms, us or ns"),
        ("2021-10-12T00:28:32", "iso", "has no time zone; if it is UTC, say so with --time-format iso-utc"),
        ("2021-13-12T00:28:32Z", "iso", "is not a possible date and time"),
        ("2021-10-12T24:28:32Z", "iso", "is not a possible date and time"),
        ("2016-12-31T23:59:60Z", "iso", "is not a possible date and time; correct it or remove the line"),
        ("2021-10-12T00:28:32+24:00", "iso", "is not a time of ISO 8601, such as"),
        ("2021-10-12T00:28:32-05:60", "iso", "is not a time of ISO 8601, such as"),
        ("yesterday", "iso", "is not a time of ISO 8601, such as"),
        ("NaN", "s", "is not a number; say how the times are written with --time-format"),
        ("Infinity", "s", "is not a number"),
        ("2021-10-12T00:28:32Z", "s", "is not a number"),
        ("1" * 41, "s", "is not a number"),
        ("٣", "s", "is not a number"),
    ],
)
def test_a_time_that_is_wrong_says_what_helps(text, time_format, what):
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_time(text, time_format, NOW)
    assert what in str(caught.value)


@given(st.text(), st.sampled_from(FORMATS))
def test_any_text_gives_a_time_or_a_value_error(text, time_format):
    with contextlib.suppress(ValueError):
        assert day_begins("2000-01-01") <= parse_time(text, time_format, NOW) <= NOW + 86_400 * 10**9


def test_tomorrow_is_no_time_of_a_recording_but_a_clock_may_be_an_hour_ahead():
    assert parse_time("2026-11-27T01:00:00Z", "iso", NOW)
    with pytest.raises(ValueError, match="in the future"):
        parse_time("2026-11-28T00:00:00.000000001Z", "iso", NOW)
