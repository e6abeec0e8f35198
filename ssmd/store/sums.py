"""Block sums: two numbers for each 1,000 lines, from which the line that is wrong can be worked out. Pure.

With c1, c2, ... the CRC-32 checksums of a block's lines, the sums are S1 = c1 + c2 + ... and S2 = 1*c1 + 2*c2 + ...
One changed line, the j-th, changes S1 by some d and S2 by j*d. A missing, doubled or swapped line leaves marks of
its own: locate.py tries them. Adler-32 takes half the time, but of lines that differ in a digit its checksums
differ by so few bits that one damage can look like another. Who wants to can make lines with the same sums; then
the SHA-256 of the whole tells.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence
from zlib import crc32

from ssmd.store.manifest import BLOCK_LINES

__all__ = ["BlockSums", "checksums", "sums_of"]

_without_newline = operator.itemgetter(slice(-1))


def checksums(lines: Iterable[bytes]) -> list[int]:
    """Of each line, which ends in a newline, without that."""
    return list(map(crc32, map(_without_newline, lines)))


def sums_of(block: Sequence[int]) -> tuple[int, int]:
    """S1 and S2 of the checksums of up to BLOCK_LINES lines."""
    total = sum(block)
    # The first checksum is in each of the partial sums, the last in one: added up they weigh the other way round.
    return total, (len(block) + 1) * total - sum(itertools.accumulate(block))


class BlockSums:
    """Adds up a file, given its lines piece by piece."""

    def __init__(self) -> None:
        self._rest: list[int] = []
        self._sums: list[tuple[int, int]] = []

    def take(self, lines: Iterable[bytes]) -> None:
        found = self._rest + checksums(lines)
        whole = len(found) - len(found) % BLOCK_LINES
        self._sums += [sums_of(found[first : first + BLOCK_LINES]) for first in range(0, whole, BLOCK_LINES)]
        self._rest = found[whole:]

    def pairs(self) -> list[tuple[int, int]]:
        """Of every block; the last may be shorter."""
        return [*self._sums, sums_of(self._rest)] if self._rest else list(self._sums)
