"""The busiest second of a day: the most lines in a row that were received within the same second. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from ssmd.store.head import SECOND

__all__ = ["PeakSecond"]


class PeakSecond:
    """Call take() with the lines of a day, or their heads, in the order of the file; `most` is the answer so far."""

    def __init__(self) -> None:
        self.most = 0
        self._second = b""
        """The second of the last line."""
        self._count = 0
        """How many lines up to the last one are of that second."""

    def take(self, heads: Sequence[bytes]) -> None:
        """Take the next lines, one at least, which are in the order of time."""
        first, last = heads[0][SECOND], heads[-1][SECOND]
        begin = len(heads) if first == last else bisect.bisect_right(heads, _end(first))
        self._add(first, begin)
        if first != last:
            end = bisect.bisect_left(heads, last, begin)
            self._between(heads, begin, end)
            self._add(last, len(heads) - end)

    def _add(self, second: bytes, count: int) -> None:
        self._count = self._count + count if second == self._second else count
        self._second = second
        self.most = max(self.most, self._count)

    def _between(self, heads: Sequence[bytes], begin: int, end: int) -> None:
        """Take the whole seconds from `begin` to `end`.

        Only a second with more lines than `most` is of interest. Of any such second two lines are met by steps of half
        as many lines.
        """
        place = begin
        while (other := place + (self.most + 1) // 2) < end:
            second = heads[place][SECOND]
            if heads[other][SECOND] != second:
                place = other
                continue
            after = bisect.bisect_right(heads, _end(second), other, end)
            self.most = max(self.most, after - bisect.bisect_left(heads, second, begin, other))
            place = after


def _end(second: bytes) -> bytes:
    """Return what sorts after all lines of a second, and before those of the next."""
    return second + b"~"
