"""Blocks are cut where another description begins, and nowhere else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.reading.stretches import Stretch, divided

READER = KalshiReader()
line_sizes = st.lists(st.integers(1, 5), min_size=1, max_size=20)


@given(line_sizes, st.lists(st.integers(0, 20), max_size=4), st.lists(st.integers(1, 4), min_size=1), st.integers(0, 9))
def test_each_line_comes_with_the_stretch_that_holds_for_it(sizes, places, counts, skipped):
    lines = [bytes([65 + place]) * (size - 1) + b"\n" for place, size in enumerate(sizes)]
    starts = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    offsets = sorted(starts[min(place, len(sizes))] for place in places)
    stretches = [Stretch(0, READER), *(Stretch(offset, READER) for offset in offsets)]
    skipped = min(skipped, len(lines) - 1)  # As when a search by time has found the beginning.
    blocks, place = [], skipped
    while place < len(lines):
        count = counts[place % len(counts)]
        blocks.append(b"".join(lines[place : place + count]))
        place += count
    found = list(divided(blocks, starts[skipped], stretches))
    assert b"".join(block for block, _ in found) == b"".join(lines[skipped:])
    at = starts[skipped]
    for block, stretch in found:
        assert block.endswith(b"\n")
        for line in block.splitlines(keepends=True):
            [*_, expected] = [one for one in stretches if one.offset <= at]
            assert stretch == expected
            at += len(line)
    cuts = [offset for offset in set(offsets) if starts[skipped] < offset < at]
    assert len(found) <= len(blocks) + len(cuts)


def test_a_place_within_a_line_cuts_before_that_line():
    stretches = [Stretch(0, READER), Stretch(5, READER, known=False)]
    assert list(divided([b"abc\ndef\nghi\n"], 0, stretches)) == [
        (b"abc\n", stretches[0]),
        (b"def\nghi\n", stretches[1]),
    ]
