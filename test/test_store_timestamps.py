"""Times become text of microseconds in UTC, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns, parse_timestamp, timestamp

NS = 1_790_000_000_123_456_000
TS = "2026-09-21T14:13:20.123456Z"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (1_000, "1970-01-01T00:00:00.000001Z"),
        (NS, TS),
        (NS + 999, TS),
        (1_798_761_599_999_999_999, "2026-12-31T23:59:59.999999Z"),
        (1_798_761_600_000_000_000, "2027-01-01T00:00:00.000000Z"),
        (1_709_210_096_000_070_000, "2024-02-29T12:34:56.000070Z"),
    ],
)
def test_timestamps_are_cut_to_microseconds_and_never_rounded_up(ns, text):
    assert timestamp(ns) == text


@given(st.integers(-(10**18), 10**19))
def test_a_time_comes_back_in_whole_microseconds(ns):
    assert parse_timestamp(timestamp(ns)) == ns // 1000 * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-09-21",
        TS[:-1],
        TS[:-1] + "+00:00",
        TS + " ",
        TS.replace("T", " "),
        TS.replace(".123456", ""),
        TS.replace(".123456", ".123"),
        TS.replace("-09-21", "-02-30"),
        TS.replace("T14", "T24"),
        TS.replace("T14:13:20", "T14:13:60"),
        TS.replace("2026", "0000"),
        TS.replace("2026", "\uff12\uff10\uff12\uff16"),
    ],
)
def test_a_text_that_timestamp_never_writes_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason is that of Python or of ssmd
        parse_timestamp(text)


@given(st.integers(-(10**18), 10**19))
def test_a_time_lies_in_the_day_that_it_belongs_to(ns):
    begin = day_begins(day_of_ns(ns))
    assert begin <= ns < begin + DAY_NS
    assert day_of_ns(begin - 1) < day_of_ns(begin) == day_of_ns(begin + DAY_NS - 1)
