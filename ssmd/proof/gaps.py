"""The gaps in the sequences of a day, and those that its ledger tells of held against them. Pure.

A feed whose numbers are broken has one at each message, so a million of them must find room.
"""

from __future__ import annotations

import heapq
import itertools
import operator
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssmd.store.entries import Entries
from ssmd.store.ledger import GAP, GAP_FIELDS, Entry

__all__ = ["FoundGap", "Gaps", "differing", "gap_of"]

_ROW = struct.Struct("<5q")


class FoundGap(NamedTuple):
    """A gap in a sequence."""

    line: int
    """How many lines stand before the one where it showed."""
    sid: int
    expected: int
    got: int
    missing: int


def gap_of(entry: Entry) -> FoundGap:
    """What a `gap` of a ledger says; -1 for what is no number."""
    values = [entry.fields.get(name) for name in GAP_FIELDS]
    sid, expected, got, missing = (value if isinstance(value, int) else -1 for value in values)
    return FoundGap(entry.line, sid, expected, got, missing)


class Gaps:
    """Gaps in order, of which each that is added in order takes 40 bytes."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._last = FoundGap(0, 0, 0, 0, 0)
        self._others: list[FoundGap] = []
        """Those that came late, and those with a number beyond 64 bits."""
        self.missing = 0
        """How many messages are missing in them."""

    def add(self, gap: FoundGap) -> None:
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


def differing(told: Entries, real: Gaps, lines: int) -> Iterator[tuple[FoundGap, bool]]:
    """The gaps that only a ledger or only the data has, in order, each with whether it is the ledger.

    `lines`: how many there are; what the ledger tells of others is left out. A gap that is there twice counts once.
    """

    def said() -> Iterator[FoundGap]:
        return (gap_of(entry) for entry in told if entry.event == GAP and entry.line < lines)

    if all(itertools.starmap(operator.eq, itertools.zip_longest(said(), real))):
        return  # So it is on nearly every day, and this is the fastest way to see it.
    in_order = all(itertools.starmap(operator.le, itertools.pairwise(said())))
    both = heapq.merge(_marked(said() if in_order else sorted(said()), True), _marked(real, False))
    for gap, group in itertools.groupby(both, operator.itemgetter(0)):
        where = {marked[1] for marked in group}
        if len(where) == 1:
            yield gap, where.pop()


def _marked(gaps: Iterable[FoundGap], mark: bool) -> Iterator[tuple[FoundGap, bool]]:
    return zip(gaps, itertools.repeat(mark), strict=False)
