"""Finds the lines where a file differs from the block sums of its manifest, in one more pass over the file. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ssmd.store.manifest import BLOCK_LINES
from ssmd.store.sums import checksums, sums_of

__all__ = [
    "CHANGED",
    "DAMAGED",
    "DOUBLED",
    "EXTRA",
    "MISSING",
    "MOST_CANDIDATES",
    "REORDERED",
    "SWAPPED",
    "Damage",
    "locate",
]

CHANGED = "changed"
MISSING = "missing"
DOUBLED = "doubled"
EXTRA = "extra"
SWAPPED = "swapped"
REORDERED = "reordered"
"""The same lines in another order, which no single swap explains, or too many different swaps would."""
DAMAGED = "damaged"
"""More than one of the other kinds at once: the sums show only the block."""

MOST_CANDIDATES = 10
"""When more explanations than this fit the sums, only the block is named."""

_SHIFT = 200
"""By how many lines a damaged block may be too long or too short, so that the beginning of the next one is found."""

_WHOLE = 2**32


class Damage(NamedTuple):
    """What is wrong, and in which lines. Lines are numbered from 1, as the file is now.

    A missing line has the number that it would have in this file: the line that follows it has that number now.
    """

    kind: str
    first: int
    last: int
    line: bytes = b""
    """The line at `first`, with its newline; empty when there is none."""
    others: tuple[tuple[int, int], ...] = ()
    """Other explanations that fit the sums, in place of `first` and `last`: another swapped pair, or missing line."""


def locate(sums: Sequence[tuple[int, int]], total: int, lines: Iterable[bytes]) -> Iterator[Damage]:
    """Compare the `lines` of a file, with their newlines, with block sums; yield each damage, in order.

    `sums`: of the file as it was sealed, when it had `total` lines.
    """
    source = iter(lines)
    window: list[bytes] = []
    marks: list[int] = []  # The checksums of the lines in the window.
    previous: int | None = None  # The checksum of the line before the window.
    before = 0  # How many lines come before the window.
    for index, pair in enumerate(sums):
        count = min(BLOCK_LINES, total - index * BLOCK_LINES)
        new = list(itertools.islice(source, max(0, 2 * BLOCK_LINES + _SHIFT - len(window))))
        window += new
        marks += checksums(new)
        used, kind, found = _explain(marks, count, pair, sums[index + 1] if index + 1 < len(sums) else None)
        if found:
            first = found[0][0]
            text = window[first - 1] if first <= len(window) else b""
            if kind == EXTRA and first == 1 and marks[0] == previous:
                kind = DOUBLED
            places = [(before + one, before + other) for one, other in found]
            yield Damage(kind, *places[0], text, tuple(places[1:]))
        previous = marks[used - 1] if used else previous
        del window[:used], marks[:used]
        before += used
    rest = len(window) + sum(1 for _ in source)
    if rest and marks and marks[0] == previous:
        yield Damage(DOUBLED, before + 1, before + 1, window.pop(0))
        before, rest = before + 1, rest - 1
    if rest:
        yield Damage(EXTRA, before + 1, before + rest, window[0] if window else b"")


_Places = list[tuple[int, int]]
"""The first and the last line of each explanation that fits, from 1; empty when there is none."""


def _explain(
    marks: list[int], count: int, pair: tuple[int, int], after: tuple[int, int] | None
) -> tuple[int, str, _Places]:
    """Return how many of the lines belong to this block, what is wrong with them, and where.

    `count`: how many lines the block had when it was sealed, `pair`: its sums, `after`: those of the next block.
    """
    if len(marks) >= count and sums_of(marks[:count]) == pair:
        return count, "", []
    # Several explanations may fit when lines are equal. Try the one first after which the next block begins.
    for by in sorted((0, -1, 1), key=lambda by: not _goes_on(marks, count + by, after)):
        kind, places = _one_damage(marks[: count + by], by, count, pair)
        if places:
            return count + by, kind, places
    if len(marks) < count:
        return len(marks), MISSING, [(len(marks) + 1, count)]
    used = _end_near(marks, count, after)
    return used, DAMAGED, [(1, max(used, 1))]


def _one_damage(block: list[int], by: int, count: int, pair: tuple[int, int]) -> tuple[str, _Places]:
    """Return the one damage that explains why a block of `count` lines has `by` more now; no places when none does."""
    if len(block) != count + by:
        return "", []
    if by < 0:
        places = _missing(block, count, pair)
        return (MISSING, places) if len(places) <= MOST_CANDIDATES else (DAMAGED, [(1, count - 1)])
    if by > 0:
        places = _extra(block, pair)
        return (DOUBLED if places and _is_double(block, places[0][0]) else EXTRA), places
    off, weighted_off = (have - sealed for have, sealed in zip(sums_of(block), pair, strict=True))
    if off:
        return CHANGED, _changed(off, weighted_off, count)
    pairs = _swapped(block, weighted_off)
    return (SWAPPED, pairs) if 1 <= len(pairs) <= MOST_CANDIDATES else (REORDERED, [(1, count)])


def _goes_on(marks: list[int], start: int, after: tuple[int, int] | None) -> bool:
    """Return whether the next block begins at `start` or, after the last block, whether the file ends there."""
    return len(marks) == start if after is None else sums_of(marks[start : start + BLOCK_LINES]) == after


def _changed(off: int, weighted_off: int, count: int) -> _Places:
    """Return the one line whose change makes S1 and S2 too large by so much; empty when there is none."""
    place, rest = divmod(weighted_off, off)
    return [(place, place)] if not rest and 1 <= place <= count else []


def _missing(block: list[int], count: int, pair: tuple[int, int]) -> _Places:
    """Return each place where one more line would give the block its sums."""
    lost = pair[0] - sum(block)
    if not 0 <= lost < _WHOLE:
        return []
    # First with the lost line at the end. Each line that it is moved before counts once more.
    weighted = sums_of(block)[1] + count * lost
    places = []
    for place in range(count, 0, -1):
        # Before a line that is equal to it is the same as after that line.
        if weighted == pair[1] and block[place - 1 : place] != [lost]:
            places.append((place, place))
        weighted += block[place - 2] - lost if place > 1 else 0
    return places[::-1]


def _extra(block: list[int], pair: tuple[int, int]) -> _Places:
    """Return the one line without which the block has its sums, or nothing; of two equal lines, the second."""
    spare = sum(block) - pair[0]
    without = sums_of(block[:-1])[1]  # S2 without the last line; then without the one before it, and so on.
    for place in range(len(block), 0, -1):
        if block[place - 1] == spare and without == pair[1]:
            return [(place, place)]
        if place > 1:
            without += (place - 1) * (block[place - 1] - block[place - 2])
    return []


def _is_double(marks: list[int], place: int) -> bool:
    """Return whether the line at `place` is equal to the one before it or after it."""
    return marks[place - 1] in (*marks[max(0, place - 2) : place - 1], *marks[place : place + 1])


def _swapped(block: list[int], off: int) -> _Places:
    """Return the pairs of lines whose swap makes S2 too large by `off`; of too many pairs only the first few."""
    pairs = (
        (place, place + distance)
        for distance in range(1, len(block))
        if off % distance == 0
        for place, (one, other) in enumerate(zip(block, block[distance:], strict=False), 1)
        if other - one == off // distance
    )
    return sorted(itertools.islice(pairs, MOST_CANDIDATES + 1))


def _end_near(marks: list[int], count: int, after: tuple[int, int] | None) -> int:
    """Return after how many lines the next block begins, if that is found near; else at most `count`."""
    if after is not None:
        for shift in sorted(range(-_SHIFT, _SHIFT + 1), key=abs):
            start = count + shift
            if start >= 0 and sums_of(marks[start : start + BLOCK_LINES]) == after:
                return start
    return min(count, len(marks))
