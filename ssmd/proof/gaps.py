"""The gaps in the sequences of a day, and how they differ from those in its ledger. Pure.

A feed with broken sequence numbers has a gap at each message, so a million gaps must fit into memory.
"""

from __future__ import annotations

import heapq
import itertools
import operator
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssmd.store.ledger import GAP, GAP_FIELDS, Entry
from ssmd.store.packed_entries import Entries

__all__ = ["NOT_KNOWN", "FoundGap", "Gaps", "differing", "gap_of"]

NOT_KNOWN = -1
"""Instead of the number of missing messages, when the numbers of a sequence do not show it."""
_NO_NUMBER = -2
"""Instead of a value that should be a whole number and is not: a damaged ledger may still be valid JSON."""

_ROW = struct.Struct("<5q")


class FoundGap(NamedTuple):
    """A gap in a sequence."""

    line: int
    """How many lines come before the one that showed the gap."""
    sid: int
    expected: int
    got: int
    missing: int
    """How many messages; NOT_KNOWN when the numbers do not show it."""


def gap_of(entry: Entry) -> FoundGap:
    """Return the gap of a ledger's `gap` entry. What should be a whole number and is not becomes a negative one."""
    values = [entry.fields.get(name) for name in GAP_FIELDS]
    sid, expected, got, missing = (value if isinstance(value, int) else _NO_NUMBER for value in values)
    if values[3] is None and "missing" in entry.fields:
        missing = NOT_KNOWN
    elif missing < 0:
        missing = _NO_NUMBER
    return FoundGap(entry.line, sid, expected, got, missing)


class Gaps:
    """The gaps of a day, sorted. Each one that is added in order takes 40 bytes."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._last = FoundGap(0, 0, 0, 0, 0)
        self._others: list[FoundGap] = []
        """Gaps that were added out of order, or have a number of more than 64 bits."""
        self.missing: int | None = 0
        """How many messages are missing in all gaps; None when one of them does not show it."""

    def add(self, gap: FoundGap) -> None:
        """Add a gap."""
        if gap.missing == NOT_KNOWN or self.missing is None:
            self.missing = None
        else:
            self.missing += gap.missing
        try:
            row = _ROW.pack(*gap) if gap >= self._last else b""
        except struct.error:
            row = b""
        if row:
            self._rows += row
            self._last = gap
        else:
            self._others.append(gap)

    def __len__(self) -> int:
        return len(self._rows) // _ROW.size + len(self._others)

    def __iter__(self) -> Iterator[FoundGap]:
        packed = map(FoundGap._make, _ROW.iter_unpack(self._rows))
        return heapq.merge(packed, sorted(self._others)) if self._others else packed


def differing(entries: Entries, found: Gaps, lines: int) -> Iterator[tuple[FoundGap, bool]]:
    """Yield the gaps that only the ledger or only the data has, in order, each with True when it is the ledger.

    `entries`: the ledger's. `lines`: how many lines the data has; gaps of the ledger after those are left out. A gap
    that the ledger has twice counts once.
    """

    def of_ledger() -> Iterator[FoundGap]:
        return (gap_of(entry) for entry in entries if entry.event == GAP and entry.line < lines)

    if all(itertools.starmap(operator.eq, itertools.zip_longest(of_ledger(), found))):
        return  # Nearly every day is like this, and this is the fastest way to see it.
    in_order = all(itertools.starmap(operator.le, itertools.pairwise(of_ledger())))
    both = heapq.merge(_marked(of_ledger() if in_order else sorted(of_ledger()), True), _marked(found, False))
    for gap, group in itertools.groupby(both, operator.itemgetter(0)):
        marks = {mark for _, mark in group}
        if len(marks) == 1:
            yield gap, marks.pop()


def _marked(gaps: Iterable[FoundGap], mark: bool) -> Iterator[tuple[FoundGap, bool]]:
    return zip(gaps, itertools.repeat(mark), strict=False)
