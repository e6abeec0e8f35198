"""Where the parts of a line are, and how the heads of many lines are checked at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import EVERYTHING

from ssmd.store.head import (
    DATA,
    HEAD,
    HOUR,
    OPENING,
    TIME,
    TS,
    heads_of_one_shape,
    is_kept_as_string,
    received_ns,
    split,
    time_key,
)
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import timestamp

NS = 1_790_000_000_123_456_000  # 2026-09-21T14:13:20.123456Z
LINE = LineEncoder("kalshi").encode(NS, [b'{"a":1}'])
SIZE = LINE.index(DATA) + len(DATA)

times = st.integers(0, 4_000_000_000_000_000_000)


def line_at(ns: int, feed: str = "kalshi", message: bytes = b"{}") -> bytes:
    return LineEncoder(feed).encode(ns, [message])


def test_the_parts_of_a_line_are_where_they_are_said_to_be():
    assert (LINE[TS], LINE[TIME], LINE[HOUR]) == (
        b"2026-09-21T14:13:20.123456Z", b"2026-09-21T14:13:20.123456", b"2026-09-21T14"
    )  # fmt: skip
    assert LINE.startswith(OPENING)
    match = HEAD.match(LINE)
    assert match is not None
    assert (match.groups(), match.end()) == ((b"2026-09-21T14:13:20", b"123456", b"kalshi"), SIZE)
    assert LINE[SIZE:] == b'{"a":1}}\n'


@given(times, times)
def test_lines_sort_by_time_and_give_it_back(one, other):
    assert (time_key(line_at(one)) < time_key(line_at(other))) == (one // 1000 < other // 1000)
    assert received_ns(line_at(one)) == one // 1000 * 1000


@pytest.mark.parametrize("damaged", [b"", b"{}", LINE.replace(b"T14", b"T24"), LINE.replace(b"2026", b"20x6")])
def test_a_line_without_a_time_has_none(damaged):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason is that of Python or of ssmd
        received_ns(damaged)


@pytest.mark.parametrize("message", EVERYTHING.values(), ids=EVERYTHING)
def test_a_message_that_was_kept_as_a_string_is_recognized_by_its_line(message):
    encoder = LineEncoder("kalshi")
    line = encoder.encode(NS, [message])
    assert is_kept_as_string(line, SIZE) == bool(encoder.kept_as_string)


@given(st.lists(st.binary(max_size=5), max_size=6))
def test_a_block_is_split_at_newlines_alone(pieces):
    """Not at \\r, \\x0b, \\x1c or U+2028, as str.splitlines() would."""
    block = b"\n".join(pieces)
    *whole, end = block.split(b"\n")
    assert split(block) == [line + b"\n" for line in whole] + ([end] if end else [])


@given(st.lists(times, min_size=1, max_size=20))
def test_the_heads_of_lines_of_one_feed_have_one_shape(ns):
    lines = [line_at(one) for one in ns]
    assert heads_of_one_shape(lines, SIZE) == [line[:SIZE] for line in lines]


def test_digits_in_the_name_of_the_feed_are_for_the_caller_to_check():
    lines = [line_at(NS, "l2-10"), line_at(NS, "l2-99")]
    size = SIZE - len("kalshi") + len("l2-10")
    assert heads_of_one_shape(lines, size) == [line[:size] for line in lines]


ODD = {
    "another feed": line_at(NS, "kraken"),
    "a feed with a longer name": line_at(NS, "kalshi2"),
    "an empty line": b"\n",
    "NULs": b"\0" * 100 + b"\n",
    "another key": LINE.replace(b'"feed"', b'"food"'),
    "a space before it": b" " + LINE,
    "a sign in the time": LINE.replace(b"2026", b"-026"),
    "a letter in the time": LINE.replace(b"2026", b"2o26"),
    "no Z": LINE.replace(b"Z", b"z"),
    "second 60": LINE.replace(b":13:20", b":13:60"),
    "minute 60": LINE.replace(b":13:20", b":60:20"),
    "minute 99": LINE.replace(b":13:20", b":99:20"),
    "cut off in its head": LINE[:40] + b"\n",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_with_another_head_is_found_anywhere(odd, place):
    lines = [LINE, LINE]
    lines.insert(place, odd)
    assert heads_of_one_shape(lines, SIZE) is None


@given(st.lists(times, min_size=1, max_size=4), st.integers(0, SIZE - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_changed_byte_of_a_head_is_found_unless_it_gives_another_head(ns, place, byte, which):
    lines = [line_at(one) for one in ns]
    number = which % len(lines)
    lines[number] = lines[number][:place] + bytes([byte]) + lines[number][place + 1 :]
    heads = heads_of_one_shape(lines, SIZE)
    if heads is not None:
        assert all(HEAD.fullmatch(head) for head in heads)
        # Days and hours are for the caller to check.
        assert all(int(line[TS][14:16]) < 60 and int(line[TS][17:19]) < 60 for line in lines)


def test_timestamps_have_the_length_that_the_parts_of_a_line_go_by():
    assert len(timestamp(NS)) == TS.stop - TS.start
