"""What of a ledger counts: the entries about lines that reached the file, however many. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from ssmd.store.ledger import FIRST_OF_A_RUN, GAP, GAP_FIELDS, OF_A_LINE, OF_WHAT_IS_DURABLE, Entry

__all__ = ["Entries", "lost_behind"]


class Entries:
    """The entries of a ledger, in order, without those that tell of lines which never reached the file.

    They lie behind a later entry, or are about the very line at which another run begins: it has none before it.
    So no entry has a smaller offset than the one before it. Of gaps in a row, of which a feed with broken numbers has
    one at each message, all but the first and the last take 56 bytes each.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._before: list[Entry | bytearray] = []
        """All but the last; a bytearray is of gaps, and stands right behind a gap."""
        self._last: Entry | None = None
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """The next one of the ledger."""
        while self._last is not None and self._last.offset > entry.offset:
            self._pop()
        if entry.event in FIRST_OF_A_RUN:
            here = []
            while (last := self._last) is not None and last.offset == entry.offset:
                here.append(last)
                self._pop()
            for other in reversed(here):
                if other.event not in OF_A_LINE:
                    self._push(other)
        self._push(entry)

    def _push(self, entry: Entry) -> None:
        last, self._last = self._last, entry
        if last is None:
            return
        if entry.event == last.event == GAP and self._before and (row := _row(last)):
            beneath = self._before[-1]
            if isinstance(beneath, bytearray):
                beneath += row
                return
            if beneath.event == GAP:
                self._before.append(bytearray(row))
                return
        self._before.append(last)

    def _pop(self) -> None:
        beneath = self._before[-1] if self._before else None
        if not isinstance(beneath, bytearray):
            self._last = beneath
            del self._before[-1:]
            return
        self._last = _of_row(_ROW.unpack_from(beneath, len(beneath) - _ROW.size))
        del beneath[-_ROW.size :]
        if not beneath:
            self._before.pop()

    def __iter__(self) -> Iterator[Entry]:
        for item in self._before:
            if isinstance(item, bytearray):
                yield from map(_of_row, _ROW.iter_unpack(item))
            else:
                yield item
        if self._last is not None:
            yield self._last

    def __len__(self) -> int:
        packed = sum(len(item) // _ROW.size - 1 for item in self._before if isinstance(item, bytearray))
        return len(self._before) + packed + (self._last is not None)

    def outline(self) -> list[Entry]:
        """All that are not packed: of gaps in a row the first and the last, which tell as much of a run as all do."""
        last = [] if self._last is None else [self._last]
        return [item for item in self._before if isinstance(item, Entry)] + last


_ROW = struct.Struct("<7q")


def _row(gap: Entry) -> bytes:
    """Nothing for one with other fields, as in a ledger that is damaged, or with numbers beyond 64 bits."""
    values = tuple(gap.fields.values())
    if tuple(gap.fields) != GAP_FIELDS or {*map(type, values)} != {int}:
        return b""
    try:
        return _ROW.pack(gap.ts_ns, gap.offset, gap.line, *values)
    except struct.error:
        return b""


def _of_row(row: tuple[int, ...]) -> Entry:
    return Entry(row[0], GAP, row[1], row[2], dict(zip(GAP_FIELDS, row[3:], strict=True)))


def lost_behind(entries: Iterable[Entry], offset: int) -> Entry | None:
    """The last entry that counts what was on the disk behind `offset`; `entries` as Entries has them."""
    found = None
    for entry in entries:
        if entry.event in OF_WHAT_IS_DURABLE and entry.offset > offset:
            found = entry
    return found
