"""The entries of a ledger that count, those about lines that reached the file, packed in memory. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ssmd.store.ledger import (
    FIRST_OF_A_RUN,
    GAP,
    GAP_FIELDS,
    OF_A_LINE,
    OF_WHAT_IS_DURABLE,
    RESPONSE,
    Entry,
    gap_fields,
)

__all__ = ["Entries", "lost_behind"]


class Entries:
    """The entries of a ledger, in order, without those about lines that never reached the file.

    Such an entry has a larger offset than a later one, or it is about the very line at which another run begins. So no
    entry that is kept has a smaller offset than the one before it.

    A feed with broken sequence numbers has a gap at each message, and a feed over HTTP has a response. All but the
    first and the last of several in a row are packed: a gap takes 56 bytes, and a response 24, because it loses its
    fields, which are for people.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._before: list[Entry | bytearray] = []
        """All but the last entry. A bytearray holds packed entries, and follows one with the same event."""
        self._last: Entry | None = None
        self._names: dict[int, str] = {}
        """The `name` of the packed gaps, by sid; empty for none."""
        self._pack: dict[str, Callable[[Entry], bytes]] = {GAP: self._row_of_gap, RESPONSE: _row_of_response}
        """By event; empty for an entry that stays as it is."""
        self._unpack: dict[str, Callable[[Any], Entry]] = {GAP: self._gap_of, RESPONSE: _response_of}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add the next entry of the ledger."""
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
        if entry.event == last.event and last.event in _ROWS and self._before and (row := self._pack[last.event](last)):
            beneath = self._before[-1]
            if isinstance(beneath, bytearray):
                beneath += row
                return
            if beneath.event == last.event:
                self._before.append(bytearray(row))
                return
        self._before.append(last)

    def _pop(self) -> None:
        beneath = self._before[-1] if self._before else None
        if self._last is None or not isinstance(beneath, bytearray):
            self._last = beneath if isinstance(beneath, Entry) else None
            del self._before[-1:]
            return
        event = self._last.event
        row = _ROWS[event]
        self._last = self._unpack[event](row.unpack_from(beneath, len(beneath) - row.size))
        del beneath[-row.size :]
        if not beneath:
            self._before.pop()

    def __iter__(self) -> Iterator[Entry]:
        event = ""
        for item in self._before:
            if isinstance(item, bytearray):
                yield from map(self._unpack[event], _ROWS[event].iter_unpack(item))
            else:
                event = item.event
                yield item
        if self._last is not None:
            yield self._last

    def __len__(self) -> int:
        count, event = 0, ""
        for item in self._before:
            if isinstance(item, bytearray):
                count += len(item) // _ROWS[event].size
            else:
                count, event = count + 1, item.event
        return count + (self._last is not None)

    def outline(self) -> list[Entry]:
        """Return all entries that are not packed: of several gaps, or responses, in a row, the first and the last."""
        last = [] if self._last is None else [self._last]
        return [item for item in self._before if isinstance(item, Entry)] + last

    def _row_of_gap(self, gap: Entry) -> bytes:
        """Return the packed gap; empty for one with other fields, as in a damaged ledger, or numbers beyond 64 bits."""
        names = tuple(gap.fields)
        sid, expected, got, missing, name = (*gap.fields.values(), "", "", "", "", "")[:5]
        if missing is None:
            missing = _NOT_KNOWN
        elif type(missing) is int and missing < 0:
            return b""
        if names not in (GAP_FIELDS, _NAMED) or {*map(type, (sid, expected, got, missing))} != {int}:
            return b""
        if type(name) is not str or (not name and names == _NAMED) or self._names.setdefault(sid, name) != name:
            return b""
        try:
            return _ROWS[GAP].pack(gap.ts_ns, gap.offset, gap.line, sid, expected, got, missing)
        except struct.error:
            return b""

    def _gap_of(self, row: tuple[int, ...]) -> Entry:
        ts_ns, offset, line, sid, expected, got, missing = row
        known = missing if missing != _NOT_KNOWN else None
        return Entry(ts_ns, GAP, offset, line, gap_fields(sid, expected, got, known, self._names[sid]))


def _row_of_response(response: Entry) -> bytes:
    try:
        return _ROWS[RESPONSE].pack(response.ts_ns, response.offset, response.line)
    except struct.error:
        return b""


def _response_of(row: tuple[int, ...]) -> Entry:
    ts_ns, offset, line = row
    return Entry(ts_ns, RESPONSE, offset, line, _NO_FIELDS)


_ROWS = {GAP: struct.Struct("<7q"), RESPONSE: struct.Struct("<3q")}
"""By event: how an entry is packed."""
_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
_NAMED = (*GAP_FIELDS, "name")
_NOT_KNOWN = -1
"""In a row, for a `missing` that is null."""


def lost_behind(entries: Iterable[Entry], offset: int) -> Entry | None:
    """Return the last entry that counts data on the disk beyond `offset`, None when there is none.

    `entries`: as Entries yields them.
    """
    found = None
    for entry in entries:
        if entry.event in OF_WHAT_IS_DURABLE and entry.offset > offset:
            found = entry
    return found
