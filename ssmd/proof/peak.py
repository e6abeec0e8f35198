"""The busiest second of a day: the most lines in a row that were received within the same second. Pure."""

from __future__ import annotations

import bisect
import itertools
import operator
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

        Only a second with more lines than `most` is of interest. Its lines stand in a row, and all have the same last
        digit of the second. Nearly always no digit comes so many times in a row, and then there is no such second.
        Otherwise samples at a quarter of that distance meet such a second four times, and nearly all others fewer
        times.
        """
        digits = bytes(map(_last_digit, heads[begin:end]))
        if not any(bytes([digit]) * (self.most + 1) in digits for digit in set(digits)):
            return
        samples = min(4, self.most + 1)
        step = (self.most + 1) // samples
        seconds = list(map(_second, heads[begin:end:step]))
        done = begin
        for sample in itertools.compress(itertools.count(), map(operator.eq, seconds, seconds[samples - 1 :])):
            if (place := begin + sample * step) >= done:
                done = bisect.bisect_right(heads, _end(seconds[sample]), place, end)
                first = bisect.bisect_left(heads, seconds[sample], begin, place)
                self.most = max(self.most, done - first)


_second = operator.itemgetter(SECOND)
_last_digit = operator.itemgetter(SECOND.stop - 1)


def _end(second: bytes) -> bytes:
    """Return what sorts after all lines of a second, and before those of the next."""
    return second + b"~"
