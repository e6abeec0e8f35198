"""The ledger: what happened to a day's capture, one JSON object a line, each at its place in the data. Pure.

    {"ts":"2025-12-22T10:30:00.123456Z","event":"gap","offset":5120,"line":17,"sid":1,"expected":4,"got":6,"missing":2}

An entry stands before the line at byte `offset` of the data file, which has `line` lines before it. Entries are
appended before the data that follows them; so a kill can leave some that tell of lines which never came.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
    "GAP_FIELDS",
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
    "Entry",
    "decode_entry",
    "encode_entry",
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
GAP_FIELDS = ("sid", "expected", "got", "missing")
"""What a `gap` tells, in this order; each is a whole number."""
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
