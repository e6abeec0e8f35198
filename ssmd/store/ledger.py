"""The ledger: what happened to a day's capture, one JSON object a line, each at its place in the data. Pure.

    {"ts":"2025-12-22T10:30:00.123456Z","event":"gap","offset":5120,"line":17,"sid":1,"expected":4,"got":6,"missing":2}

An entry belongs before the line at byte `offset` of the data file, which has `line` lines before it. Entries are
written before the data that follows them, so a kill can leave entries about lines that never reached the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ssmd.store.timestamps import parse_timestamp, timestamp

__all__ = [
    "APART",
    "ASKED",
    "BACKPRESSURE_BEGAN",
    "BACKPRESSURE_ENDED",
    "CLOCK_STEPPED",
    "CLOSED",
    "CONNECTED",
    "CONTINUED",
    "DISCONNECTED",
    "DRIFT",
    "EVENTS",
    "FIRST_OF_A_RUN",
    "FOLLOWED",
    "GAP",
    "GAP_FIELDS",
    "HEARD",
    "IMPORTED",
    "LOST",
    "MARK",
    "OBSERVER_FAILED",
    "OF_A_LINE",
    "OF_A_RUN",
    "OF_WHAT_IS_DURABLE",
    "OPENED",
    "OUTAGE",
    "RECONFIGURED",
    "REFUSED",
    "RESPONSE",
    "ROTATED",
    "SILENCE_EXPECTED",
    "SILENT",
    "SNAPSHOTS_RECEIVED",
    "SNAPSHOT_REQUESTED",
    "STARTED",
    "STOPPED",
    "SUBSCRIBED",
    "TORN",
    "UNFOLLOWED",
    "VIOLATIONS",
    "Entry",
    "decode_entry",
    "encode_entry",
    "gap_fields",
    "time_in",
]

# The events that this version writes. docs/archive.md says what each means, and its fields. A reader passes over any
# other event: a later version may have written it.
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
ASKED = "asked"
REFUSED = "refused"
SILENT = "silent"
HEARD = "heard"
SILENCE_EXPECTED = "silence_expected"
SNAPSHOT_REQUESTED = "snapshot_requested"
SNAPSHOTS_RECEIVED = "snapshots_received"
IMPORTED = "imported"
RESPONSE = "response"
RECONFIGURED = "reconfigured"
OPENED = "opened"
CLOSED = "closed"
FOLLOWED = "followed"
UNFOLLOWED = "unfollowed"
APART = "apart"
DRIFT = "drift"
VIOLATIONS = "violations"
OBSERVER_FAILED = "observer_failed"

EVENTS = frozenset(
    {
        *(STARTED, CONNECTED, SUBSCRIBED, GAP, BACKPRESSURE_BEGAN, BACKPRESSURE_ENDED, CLOCK_STEPPED, TORN, LOST),
        *(ROTATED, CONTINUED, OUTAGE, DISCONNECTED, STOPPED, MARK),
        *(ASKED, REFUSED, SILENT, HEARD, SILENCE_EXPECTED, SNAPSHOT_REQUESTED, SNAPSHOTS_RECEIVED, IMPORTED),
        *(RESPONSE, RECONFIGURED, OPENED, CLOSED, FOLLOWED, UNFOLLOWED, APART, DRIFT, VIOLATIONS),
        OBSERVER_FAILED,
    }
)
"""All of them."""
FIRST_OF_A_RUN = (TORN, LOST, OUTAGE, APART, STARTED)
"""What a start writes: no connection has been open since the entry before it."""
OF_A_RUN = frozenset({STARTED, OUTAGE, CONNECTED, CONTINUED, ROTATED, DISCONNECTED, STOPPED})
"""What only a collector writes: with any of these, a ledger says when connections were open."""
GAP_FIELDS = ("sid", "expected", "got", "missing")
"""The fields of a `gap`, in this order. Each is a whole number, but `missing` is null where the numbers do not say how
many messages are missing. A `name` follows where the `sid` alone says nothing to people, such as a market."""
OF_A_LINE = (SUBSCRIBED, GAP, REFUSED, RESPONSE)
"""Events about the line that follows them."""
OF_WHAT_IS_DURABLE = (STOPPED, ROTATED)
"""Events that are written only when all that they count is on the disk. A mark is not: a power failure may keep it and
take the lines before it."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Entry(NamedTuple):
    """One line of a ledger."""

    ts_ns: int
    """Wall clock, ns since the epoch; whole microseconds once it was written."""
    event: str
    offset: int
    """The byte of the uncompressed data file at which the line begins that it belongs before."""
    line: int
    """How many lines the data file has before that."""
    fields: Mapping[str, Any]


def gap_fields(sid: int, expected: int, got: int, missing: int | None, name: str) -> dict[str, Any]:
    """Return the fields of a `gap`. `missing`: None when it is not known. `name`: empty for none."""
    fields: dict[str, Any] = dict(zip(GAP_FIELDS, (sid, expected, got, missing), strict=True))
    return fields | {"name": name} if name else fields


def encode_entry(entry: Entry) -> bytes:
    """Return the line of an entry, with its newline."""
    head = {"ts": timestamp(entry.ts_ns), "event": entry.event, "offset": entry.offset, "line": entry.line}
    try:
        return _encode({**head, **entry.fields}) + b"\n"
    except UnicodeEncodeError:  # A host name that is not UTF-8, say: no file can hold half a surrogate pair.
        return json.dumps({**head, **entry.fields}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def decode_entry(line: bytes) -> Entry:
    """Return the entry of a line, with or without its newline; its event may be unknown.

    Raises ValueError when the line is no entry.
    """
    try:
        found = _decode(line)
    except RecursionError:
        raise ValueError("nested too deep for an entry of a ledger") from None
    try:
        ts, event, offset, lines = (found.pop(name) for name in ("ts", "event", "offset", "line"))
    except KeyError as missing:
        raise ValueError(f"an entry of a ledger has no {missing}") from None
    if not (isinstance(event, str) and event and _is_count(offset) and _is_count(lines) and isinstance(ts, str)):
        raise ValueError("not an entry of a ledger")
    return Entry(parse_timestamp(ts), event, offset, lines, found)


def time_in(entry: Entry, name: str) -> int:
    """Return a time among the fields of an entry, in ns since the epoch; 0 when there is none."""
    try:
        return parse_timestamp(str(entry.fields.get(name)))
    except ValueError:
        return 0


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
