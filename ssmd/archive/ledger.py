"""The ledger: what happened to a day's capture, one JSON object a line, each at its place in the data. Pure.

    {"ts":"2025-12-22T10:30:00.123456Z","event":"gap","offset":5120,"line":17,"sid":1,"expected":4,"got":6,"missing":2}

An entry stands before the line at byte `offset` of the data file, which has `line` lines before it. Entries are
appended before the data that follows them; so a kill can leave some that tell of lines which never came.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ssmd.envelope import line_time, timestamp

__all__ = [
    "BACKPRESSURE_BEGAN",
    "BACKPRESSURE_ENDED",
    "CLOCK_STEPPED",
    "CONNECTED",
    "CONTINUED",
    "DISCONNECTED",
    "EVENTS",
    "FIRST_OF_A_RUN",
    "GAP",
    "LOST",
    "MARK",
    "OF_A_LINE",
    "OF_WHAT_IS_DURABLE",
    "OUTAGE",
    "ROTATED",
    "STARTED",
    "STOPPED",
    "SUBSCRIBED",
    "TORN",
    "Entries",
    "Entry",
    "decode_entry",
    "encode_entry",
    "kept",
    "lost_behind",
    "time_in",
]

STARTED = "started"
CONNECTED = "connected"
SUBSCRIBED = "subscribed"
GAP = "gap"
BACKPRESSURE_BEGAN = "backpressure_began"
BACKPRESSURE_ENDED = "backpressure_ended"
CLOCK_STEPPED = "clock_stepped"
TORN = "torn"
LOST = "lost"
ROTATED = "rotated"
CONTINUED = "continued"
OUTAGE = "outage"
DISCONNECTED = "disconnected"
STOPPED = "stopped"
MARK = "mark"

EVENTS = (
    STARTED,
    CONNECTED,
    SUBSCRIBED,
    GAP,
    BACKPRESSURE_BEGAN,
    BACKPRESSURE_ENDED,
    CLOCK_STEPPED,
    TORN,
    LOST,
    ROTATED,
    CONTINUED,
    OUTAGE,
    DISCONNECTED,
    STOPPED,
    MARK,
)
"""Every event; docs/archive.md tells what each means, and its fields."""

FIRST_OF_A_RUN = (TORN, LOST, OUTAGE, STARTED)
"""What a start writes: nobody has listened since the entry before it."""
OF_A_LINE = (SUBSCRIBED, GAP)
"""What is about the line that follows it."""
OF_WHAT_IS_DURABLE = (STOPPED, ROTATED)
"""What is written only when all that it counts is on the disk. A mark is not: power loss may leave it alone."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Entry(NamedTuple):
    """One line of a ledger."""

    ts_ns: int
    """Wall clock in ns since the epoch, whole microseconds once it was written."""
    event: str
    offset: int
    """In bytes, from the beginning of the (uncompressed) data file, to the line that it stands before."""
    line: int
    """How many lines the data file has before that."""
    fields: Mapping[str, Any]


def encode_entry(entry: Entry) -> bytes:
    """The line of an entry, with its newline."""
    head = {"ts": timestamp(entry.ts_ns), "event": entry.event, "offset": entry.offset, "line": entry.line}
    try:
        return _encode({**head, **entry.fields}) + b"\n"
    except UnicodeEncodeError:  # A host name, say, that is not UTF-8: half a character, which no file can hold.
        return json.dumps({**head, **entry.fields}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def decode_entry(line: bytes) -> Entry:
    """The entry of a line, with or without its newline. Raises ValueError when it is none."""
    found = _decode(line)
    try:
        ts, event, offset, lines = (found.pop(name) for name in ("ts", "event", "offset", "line"))
    except KeyError as missing:
        raise ValueError(f"an entry of a ledger has no {missing}") from None
    if event not in EVENTS or not (_is_count(offset) and _is_count(lines) and isinstance(ts, str)):
        raise ValueError("not an entry of a ledger")
    return Entry(line_time(ts), event, offset, lines, found)


def time_in(entry: Entry, name: str) -> int:
    """A time among the fields of an entry, in ns; 0 for what is none."""
    try:
        return line_time(str(entry.fields.get(name)))
    except ValueError:
        return 0


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


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


_OF_A_GAP = ("sid", "expected", "got", "missing")
_ROW = struct.Struct("<7q")


def _row(gap: Entry) -> bytes:
    """Nothing for one with other fields, as in a ledger that is damaged, or with numbers beyond 64 bits."""
    values = tuple(gap.fields.values())
    if tuple(gap.fields) != _OF_A_GAP or {*map(type, values)} != {int}:
        return b""
    try:
        return _ROW.pack(gap.ts_ns, gap.offset, gap.line, *values)
    except struct.error:
        return b""


def _of_row(row: tuple[int, ...]) -> Entry:
    return Entry(row[0], GAP, row[1], row[2], dict(zip(_OF_A_GAP, row[3:], strict=True)))


def kept(entries: Iterable[Entry]) -> list[Entry]:
    """The entries without those that tell of lines which never reached the file; see Entries."""
    return list(Entries(entries))


def lost_behind(entries: Iterable[Entry], offset: int) -> Entry | None:
    """The last entry that counts what was on the disk behind `offset`; `entries` as kept() leaves them."""
    found = None
    for entry in entries:
        if entry.event in OF_WHAT_IS_DURABLE and entry.offset > offset:
            found = entry
    return found
