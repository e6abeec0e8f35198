"""Finds the lines at which a file departs from the block sums of its manifest, going through it once more."""

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
"""The same lines in another order, and not by two changed places, or by too many pairs to name them."""
DAMAGED = "damaged"
"""More than one of the others at once: the sums show only between which lines."""

MOST_CANDIDATES = 10
"""When the sums fit more places than this, none is named, only the block."""

_SHIFT = 200
"""How many lines too many or too few in one block are made up for, to go on behind it."""

_WHOLE = 2**32


class Damage(NamedTuple):
    """What is wrong, and where, by the numbers from 1 that the lines have in the file as it is now.

    A missing line is told by the number it had, between the lines that now stand before and at that number.
    """

    kind: str
    first: int
    last: int
    line: bytes = b""
    """The line at `first`, with its newline; empty when there is none."""
    others: tuple[tuple[int, int], ...] = ()
    """What it may be instead of `first` and `last`, for the sums fit each: one swapped pair, or one missing line."""


def locate(sums: Sequence[tuple[int, int]], total: int, lines: Iterable[bytes]) -> Iterator[Damage]:
    """Compare the `lines` of a file, with their newlines, with the sums of what it should be, `total` lines."""
    source = iter(lines)
    window: list[bytes] = []
    marks: list[int] = []
    behind: int | None = None  # The checksum of the line that is behind us.
    before = 0  # Lines of the file as it is that are behind us.
    for index, pair in enumerate(sums):
        count = min(BLOCK_LINES, total - index * BLOCK_LINES)
        new = list(itertools.islice(source, max(0, 2 * BLOCK_LINES + _SHIFT - len(window))))
        window += new
        marks += checksums(new)
        used, kind, found = _explain(marks, count, pair, sums[index + 1] if index + 1 < len(sums) else None)
        if found:
            first = found[0][0]
            text = window[first - 1] if first <= len(window) else b""
            if kind == EXTRA and first == 1 and marks[0] == behind:
                kind = DOUBLED
            places = [(before + one, before + other) for one, other in found]
            yield Damage(kind, *places[0], text, tuple(places[1:]))
        behind = marks[used - 1] if used else behind
        del window[:used], marks[:used]
        before += used
    rest = len(window) + sum(1 for _ in source)
    if rest and marks and marks[0] == behind:
        yield Damage(DOUBLED, before + 1, before + 1, window.pop(0))
        before, rest = before + 1, rest - 1
    if rest:
        yield Damage(EXTRA, before + 1, before + rest, window[0] if window else b"")


_Places = list[tuple[int, int]]
"""The first and the last line of each explanation that fits, from 1. Empty when nothing is wrong."""


def _explain(
    marks: list[int], count: int, pair: tuple[int, int], after: tuple[int, int] | None
) -> tuple[int, str, _Places]:
    """How many of the lines belong to this block, what is wrong with them, and where."""
    if len(marks) >= count and sums_of(marks[:count]) == pair:
        return count, "", []
    # Lines that are alike fit more than one explanation: first the one after which the next block begins.
    for by in sorted((0, -1, 1), key=lambda by: not _goes_on(marks, count + by, after)):
        kind, places = _one_damage(marks[: count + by], by, count, pair)
        if places:
            return count + by, kind, places
    if len(marks) < count:
        return len(marks), MISSING, [(len(marks) + 1, count)]
    used = _behind(marks, count, after)
    return used, DAMAGED, [(1, max(used, 1))]


def _one_damage(block: list[int], by: int, count: int, pair: tuple[int, int]) -> tuple[str, _Places]:
    """What is wrong with lines that should be `count` and are `by` more, if one thing explains it; else no places."""
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
    """Whether the block that should follow begins there; without one, whether nothing does."""
    return len(marks) == start if after is None else sums_of(marks[start : start + BLOCK_LINES]) == after


def _changed(off: int, weighted_off: int, count: int) -> _Places:
    """The one line whose change makes S1 and S2 too large by so much; empty when there is none."""
    place, rest = divmod(weighted_off, off)
    return [(place, place)] if not rest and 1 <= place <= count else []


def _missing(block: list[int], count: int, pair: tuple[int, int]) -> _Places:
    """Each place at which one line more would make a whole of these."""
    lost = pair[0] - sum(block)
    if not 0 <= lost < _WHOLE:
        return []
    # With the lost line at the end; each line that comes to stand behind it instead counts once more.
    weighted = sums_of(block)[1] + count * lost
    places = []
    for place in range(count, 0, -1):
        # Before a line that equals it is the same as behind that.
        if weighted == pair[1] and block[place - 1 : place] != [lost]:
            places.append((place, place))
        weighted += block[place - 2] - lost if place > 1 else 0
    return places[::-1]


def _extra(block: list[int], pair: tuple[int, int]) -> _Places:
    """The one line without which the others are a whole; of two that are equal, the second. Empty without one."""
    spare = sum(block) - pair[0]
    without = sums_of(block[:-1])[1]  # Without the last; then without the one before it, and so on.
    for place in range(len(block), 0, -1):
        if block[place - 1] == spare and without == pair[1]:
            return [(place, place)]
        if place > 1:
            without += (place - 1) * (block[place - 1] - block[place - 2])
    return []


def _is_double(marks: list[int], place: int) -> bool:
    """Whether the line there is the same as the one before it, or behind it."""
    return marks[place - 1] in (*marks[max(0, place - 2) : place - 1], *marks[place : place + 1])


def _swapped(block: list[int], off: int) -> _Places:
    """The pairs of lines that, if they changed places, have made S2 too large by `off`; of many the first few."""
    pairs = (
        (place, place + distance)
        for distance in range(1, len(block))
        if off % distance == 0
        for place, (one, other) in enumerate(zip(block, block[distance:], strict=False), 1)
        if other - one == off // distance
    )
    return sorted(itertools.islice(pairs, MOST_CANDIDATES + 1))


def _behind(marks: list[int], count: int, after: tuple[int, int] | None) -> int:
    """How many lines to leave behind, so that what follows is the next block, if that can be found near."""
    if after is not None:
        for shift in sorted(range(-_SHIFT, _SHIFT + 1), key=abs):
            start = count + shift
            if start >= 0 and sums_of(marks[start : start + BLOCK_LINES]) == after:
                return start
    return min(count, len(marks))
