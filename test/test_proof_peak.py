"""The busiest second is found whatever the blocks are, as counting each line by itself finds it."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from ssmd.proof.peak import PeakSecond
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

BEGIN = day_begins("2026-09-20")
encoder = LineEncoder("kalshi")


def lines_of(counts: list[int]) -> list[bytes]:
    """So many lines in each second of a day."""
    return [
        encoder.encode(BEGIN + second * 10**9 + 1000 * number, [b"{}"])
        for second, count in enumerate(counts)
        for number in range(count)
    ]


def peak(blocks: list[list[bytes]]) -> int:
    found = PeakSecond()
    for block in blocks:
        found.take(block)
    return found.most


@given(st.lists(st.integers(0, 12), max_size=60), st.lists(st.integers(1, 40), min_size=1))
@example([1, 1, 2, 1, 1, 3, 1, 4, 4, 5, 1], [100])
@example([3, 0, 3, 6, 5, 6, 7, 1], [5, 2])
@example([9], [2, 3, 1])
def test_it_is_the_greatest_count_of_any_second(counts, sizes):
    lines = lines_of(counts)
    blocks = []
    for size in itertools.cycle(sizes):
        if not lines:
            break
        blocks.append(lines[:size])
        lines = lines[size:]
    assert peak(blocks) == max(counts, default=0)


def test_lines_of_one_second_count_together_only_in_a_row():
    """A clock that was set back repeats a second; the lines in between belong to others."""
    two, three = lines_of([2]), lines_of([0, 3])
    assert peak([two, three, two]) == 3
    assert peak([two, two]) == 4
