"""Entries of the ledger as lines, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.ledger import Entry, decode_entry, encode_entry, time_in

NS = 1_766_404_800_000_000_000  # 2025-12-22T12:00:00Z


def test_half_a_character_is_written_as_a_question_mark():
    """A host name need not be UTF-8: Python then returns it with surrogates, which UTF-8 cannot encode."""
    line = encode_entry(Entry(0, "started", 0, 0, {"host": "h\udcffx", "reason": "\ud800"}))
    assert decode_entry(line).fields == {"host": "h?x", "reason": "?"}


def test_an_entry_is_written_exactly_like_this():
    entry = Entry(NS + 123_456_789, "gap", 5120, 17, {"sid": 1, "expected": 4, "got": 6, "missing": 2})
    assert encode_entry(entry) == (
        b'{"ts":"2025-12-22T12:00:00.123456Z","event":"gap","offset":5120,"line":17,'
        b'"sid":1,"expected":4,"got":6,"missing":2}\n'
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text("abc", max_size=3), values, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(st.text("abcdef", min_size=1), json_values, max_size=5)
counts = st.integers(0, 2**62)


@given(st.integers(0, 4 * 10**18), st.text("abc_", min_size=1), counts, counts, fields)
def test_any_entry_comes_back_in_whole_microseconds(ns, event, offset, line, fields):
    written = encode_entry(Entry(ns, event, offset, line, fields))
    assert decode_entry(written) == decode_entry(written[:-1]) == Entry(ns // 1000 * 1000, event, offset, line, fields)
    assert written.count(b"\n") == 1


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b'{"ts":"x","event":"gap","offset":1,"line":1}',
     b'{"ts":"2025-12-22T12:00:00.000000Z","event":"","offset":1,"line":1}',
     b'{"ts":"2025-12-22T12:00:00.000000Z","event":7,"offset":1,"line":1}',
     b'{"ts":"2025-12-22T12:00:00.000000Z","event":"gap","offset":-1,"line":1}',
     b'{"ts":"2025-12-22T12:00:00.000000Z","event":"gap","offset":true,"line":1}',
     b'{"ts":"2025-12-22T12:00:00.000000Z","event":"gap","offset":1}', b"[" * 10_000,
     b'{"ts":"2025-12-22T25:00:00.000000Z","event":"gap","offset":1,"line":1}'],
)  # fmt: skip
def test_a_line_that_is_not_an_entry_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason is that of the decoder or of ssmd
        decode_entry(line)


def test_a_time_among_the_fields_is_0_when_there_is_none():
    entry = Entry(NS, "outage", 0, 0, {"from": "2025-12-22T11:00:00.000000Z", "to": None, "seconds": 3600})
    assert [time_in(entry, name) for name in ("from", "to", "seconds", "cause")] == [NS - 3600 * 10**9, 0, 0, 0]
