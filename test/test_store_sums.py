"""Block sums are the same however a file is cut into pieces, and the same in every version."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.manifest import BLOCK_LINES
from ssmd.store.sums import BlockSums, checksums, sums_of


def test_the_sums_are_those_of_every_version():
    """Otherwise days that another version has sealed could not be proved. The newline of a line is not included."""
    sums = BlockSums()
    sums.take([b"a\n", b"a\n", b"b\n"])
    a, b = 0xE8B7BE43, 0x71BEEFF9
    assert sums.pairs() == [(2 * a + b, 3 * a + 3 * b)]


def test_a_checksum_is_the_crc_32_of_a_line_without_its_newline():
    lines = [b"\n", b"a\n", b"a\r\n"]
    assert checksums(lines) == [zlib.crc32(b""), zlib.crc32(b"a"), zlib.crc32(b"a\r")]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_the_sums_are_those_of_their_definition(marks):
    assert sums_of(marks) == (sum(marks), sum(place * mark for place, mark in enumerate(marks, 1)))


@given(st.lists(st.integers(0, 2700), max_size=6))
def test_the_sums_of_a_file_do_not_depend_on_how_it_is_cut_into_pieces(cuts):
    lines = [b"%d\n" % number for number in range(2 * BLOCK_LINES + 700)]
    marks = checksums(lines)
    sums, before = BlockSums(), 0
    for cut in [*sorted(cuts), len(lines)]:
        sums.take(lines[before:cut])
        before = cut
    assert sums.pairs() == [sums_of(marks[first : first + BLOCK_LINES]) for first in range(0, len(marks), BLOCK_LINES)]
