"""Sets of lines, kept as ranges: a million lines in a row take as much memory as one. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

__all__ = ["LineRanges"]


class LineRanges:
    """Lines, each a day and a number; they are added in order."""

    def __init__(self) -> None:
        self._ranges: list[tuple[str, int, int]] = []
        """The day, the first and the last line; in order."""

    def add(self, day: str, line: int) -> None:
        """Add a line that is behind all others."""
        if self._ranges:
            last_day, first, last = self._ranges[-1]
            if last_day == day and last + 1 == line:
                self._ranges[-1] = day, first, line
                return
        self._ranges.append((day, line, line))

    def _place(self, day: str, line: int) -> int | None:
        """Return the place of the range with a line, None when there is none."""
        place = bisect_right(self._ranges, (day, line), key=lambda one: one[:2]) - 1
        if place < 0:
            return None
        found, _, last = self._ranges[place]
        return place if found == day and line <= last else None

    def __contains__(self, key: tuple[str, int]) -> bool:
        return self._place(*key) is not None

    def discard(self, day: str, line: int) -> bool:
        """Remove a line; return whether it was there."""
        place = self._place(day, line)
        if place is None:
            return False
        _, first, last = self._ranges[place]
        parts = [(day, first, line - 1), (day, line + 1, last)]
        self._ranges[place : place + 1] = [one for one in parts if one[1] <= one[2]]
        return True

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """Yield the ranges: the day, the first and the last line."""
        return iter(self._ranges)

    def __len__(self) -> int:
        return sum(last - first + 1 for _, first, last in self._ranges)
