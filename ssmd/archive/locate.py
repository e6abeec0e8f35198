"""Finds the lines at which a file departs from the block sums of its manifest, going through it once more."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ssmd.archive.manifest import BLOCK_LINES
from ssmd.archive.sums import checksums, sums_of

__all__ = ["CHANGED", "DAMAGED", "DOUBLED", "EXTRA", "MISSING", "SWAPPED", "Damage", "locate"]

CHANGED = "changed"
MISSING = "missing"
DOUBLED = "doubled"
EXTRA = "extra"
SWAPPED = "swapped"
DAMAGED = "damaged"
"""More than one of the others at once: the sums tell only between which lines."""

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
        used, found = _explain(marks, count, pair, sums[index + 1] if index + 1 < len(sums) else None)
        for kind, first, last in found:
            text = window[first - 1] if first <= len(window) else b""
            if kind == EXTRA and first == 1 and marks[0] == behind:
                kind = DOUBLED
            yield Damage(kind, before + first, before + last, text)
        behind = marks[used - 1] if used else behind
        del window[:used], marks[:used]
        before += used
    rest = len(window) + sum(1 for _ in source)
    if rest and marks and marks[0] == behind:
        yield Damage(DOUBLED, before + 1, before + 1, window.pop(0))
        before, rest = before + 1, rest - 1
    if rest:
        yield Damage(EXTRA, before + 1, before + rest, window[0] if window else b"")


_Explained = tuple[int, list[tuple[str, int, int]]]


def _explain(marks: list[int], count: int, pair: tuple[int, int], after: tuple[int, int] | None) -> _Explained:
    """How many of the lines belong to this block, and what is wrong: kind, first and last, from 1."""
    block = marks[:count]
    sums = sums_of(block)
    if len(block) == count:
        if sums == pair:
            return count, []
        if (places := _swapped(block, sums, pair)) is not None:
            return count, [(SWAPPED, *places)]
        # Where a block ends, a line missing or too many looks like a changed one, but for the block that follows.
        place = _changed(sums, pair, count)
        if place is not None and (place < count or not any(_goes_on(marks, count + by, after) for by in (-1, 1))):
            return count, [(CHANGED, place, place)]
    for by in sorted((-1, 1), key=lambda by: not _goes_on(marks, count + by, after)):
        if by < 0 and (place := _missing(marks[: count - 1], count, pair)) is not None:
            return count - 1, [(MISSING, place, place)]
        if by > 0 and (place := _extra(marks[: count + 1], count, pair)) is not None:
            return count + 1, [(DOUBLED if _is_double(marks, place) else EXTRA, place, place)]
    if len(marks) < count:
        return len(marks), [(MISSING, len(marks) + 1, count)]
    used = _behind(marks, count, after)
    return used, [(DAMAGED, 1, max(used, 1))]


def _goes_on(marks: list[int], start: int, after: tuple[int, int] | None) -> bool:
    """Whether the block that should follow begins there; without one, whether nothing does."""
    return len(marks) == start if after is None else sums_of(marks[start : start + BLOCK_LINES]) == after


def _changed(sums: tuple[int, int], pair: tuple[int, int], count: int) -> int | None:
    by, weighted = sums[0] - pair[0], sums[1] - pair[1]
    if by == 0 or weighted % by or not 1 <= weighted // by <= count:
        return None
    return weighted // by


def _missing(block: list[int], count: int, pair: tuple[int, int]) -> int | None:
    """The place of the one line that would make a whole of these."""
    if len(block) != count - 1:
        return None
    lost = pair[0] - sum(block)
    if not 0 <= lost < _WHOLE:
        return None
    # With the lost line at the end; each line that comes to stand behind it instead counts once more.
    weighted = sums_of(block)[1] + count * lost
    for place in range(count, 0, -1):
        if weighted == pair[1]:
            return place
        weighted += block[place - 2] - lost if place > 1 else 0
    return None


def _extra(block: list[int], count: int, pair: tuple[int, int]) -> int | None:
    """The place of the one line without which the others are a whole; of two that are equal, the second."""
    if len(block) != count + 1:
        return None
    spare = sum(block) - pair[0]
    without = sums_of(block[:count])[1]  # Without the last; then without the one before it, and so on.
    for place in range(count + 1, 0, -1):
        if block[place - 1] == spare and without == pair[1]:
            return place
        if place > 1:
            without += (place - 1) * (block[place - 1] - block[place - 2])
    return None


def _is_double(marks: list[int], place: int) -> bool:
    """Whether the line there is the same as the one before it, or behind it."""
    return marks[place - 1] in (*marks[max(0, place - 2) : place - 1], *marks[place : place + 1])


def _swapped(block: list[int], sums: tuple[int, int], pair: tuple[int, int]) -> tuple[int, int] | None:
    """The places of the two lines that have changed places; None also when more than one pair could be it."""
    if sums[0] != pair[0]:
        return None
    off = sums[1] - pair[1]
    fitting = [
        (place, place + distance)
        for distance in range(1, len(block))
        if off % distance == 0
        for place, (one, other) in enumerate(zip(block, block[distance:], strict=False), 1)
        if other - one == off // distance
    ]
    return fitting[0] if len(fitting) == 1 else None


def _behind(marks: list[int], count: int, after: tuple[int, int] | None) -> int:
    """How many lines to leave behind, so that what follows is the next block, if that can be found near."""
    if after is not None:
        for shift in sorted(range(-_SHIFT, _SHIFT + 1), key=abs):
            start = count + shift
            if start >= 0 and sums_of(marks[start : start + BLOCK_LINES]) == after:
                return start
    return min(count, len(marks))
