"""The lines of a day are checked: their form, feed, day and order, and the places of the ledger's entries."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import (
    BEGIN,
    LINES,
    RECORDED_DAY,
    data_in,
    findings_in,
    manifest_in,
)

from ssmd.proof.scan import MOST_FINDINGS, Scan
from ssmd.store.ledger import Entry


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'"feed":"kalshi"', b'"feed":"kraken"', "belongs to the feed kraken"),
        (b'"ts":"2025-12-22T', b'"ts":"2025-12-21T', "belongs to another day"),
        (b'"ts":"2025-12-22T00:0', b'"ts":"2025-12-22T25:0', "is not a line of ssmd"),
        (b'"ts":"2025-12-22T00:', b'"ts":"2025-12-22T01:', "is older than the line before it"),
        (b'"data":{"', b'"data":"', "is not a line of ssmd"),
    ],
)
def test_wrong_lines_are_named_without_a_manifest(own_storage, old, new, expected):
    manifest_in(own_storage).unlink()
    lines = data_in(own_storage).read_bytes().splitlines(keepends=True)
    assert old in lines[1401]
    lines[1401] = lines[1401].replace(old, new)
    data_in(own_storage).write_bytes(b"".join(lines))
    wrong = [number for number, text in findings_in(own_storage) if expected in text]
    assert wrong
    assert wrong[0] in (1402, 1403)


def test_of_a_whole_file_of_another_feed_only_the_first_lines_are_named(own_storage):
    manifest_in(own_storage).unlink()
    data = data_in(own_storage)
    data.write_bytes(data.read_bytes().replace(b'"feed":"kalshi"', b'"feed":"kraken"'))
    findings = findings_in(own_storage)
    assert findings[: MOST_FINDINGS + 1] == [
        *[(number, "belongs to the feed kraken") for number in range(1, MOST_FINDINGS + 1)],
        (None, f"and {LINES - MOST_FINDINGS:,} more lines, each of which belongs to another feed"),
    ]
    assert len(findings) == MOST_FINDINGS + 1


@given(
    st.lists(st.integers(1, 3), max_size=8),
    st.sets(st.integers(1, 8)),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 0, 1]), st.integers(0, 10)), max_size=3),
    st.integers(0, 8),
)
def test_the_first_misplaced_entry_is_found_however_the_lines_are_cut_into_blocks(widths, cuts, others, places):
    lines = [b"x" * (width - 1) + b"\n" for width in widths]
    offsets = [sum(widths[:place]) for place in range(len(lines) + 1)]
    right = list(zip(offsets, range(len(offsets)), strict=True))[:places]
    ends = [*offsets, *range(offsets[-1] + 1, 30)]
    all_places = [*right, *((ends[place] + more, line) for place, more, line in others)]
    all_places.sort(key=lambda place: place[0])
    entries = [Entry(BEGIN, "mark", offset, line, {}) for offset, line in all_places]
    scan = Scan("kalshi", RECORDED_DAY, entries)
    edges = sorted({0, len(lines), *(cut for cut in cuts if cut < len(lines))})
    for begin, end in itertools.pairwise(edges):
        scan.take(b"".join(lines[begin:end]))
    wrong = (
        entry
        for entry in entries
        if entry.offset <= offsets[-1] and (entry.line, entry.offset) not in enumerate(offsets)
    )
    assert scan.misplaced == next(wrong, None)
