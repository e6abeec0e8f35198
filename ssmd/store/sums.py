"""Block sums: two numbers for each 1,000 lines, from which a wrong line can be found. Pure.

With c1, c2, ... the CRC-32 checksums of a block's lines, the sums are S1 = c1 + c2 + ... and S2 = 1*c1 + 2*c2 + ...
When the j-th line has changed, S1 differs by some d and S2 by j*d. A missing, doubled or swapped line changes the sums
in other ways, which proof/locate.py tries. Adler-32 would take half the time, but its checksums of lines that differ in
one digit are so close that one kind of damage can look like another. An attacker can make other lines with the same
sums; the SHA-256 of the whole file shows that.
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
    """Return the CRC-32 of each line without its newline."""
    return list(map(crc32, map(_without_newline, lines)))


def sums_of(block: Sequence[int]) -> tuple[int, int]:
    """Return S1 and S2 of the checksums of up to BLOCK_LINES lines."""
    total = sum(block)
    # The first checksum is part of every partial sum, the last of one: added up they are weighted the other way round.
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
        """Return the sums of every block; the last may be shorter."""
        return [*self._sums, sums_of(self._rest)] if self._rest else list(self._sums)
