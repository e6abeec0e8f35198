"""Coverage of a day: when a connection was open, and the outages and closed hours between, with their causes. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ssmd.store.closed_hours import Piece, closed_times, divide
from ssmd.store.ledger import CLOSED, CONNECTED, CONTINUED, OUTAGE, ROTATED, Entry, time_in
from ssmd.store.manifest import ClosedTime, TimeGap
from ssmd.store.sessions import NOT_STARTED, UNKNOWN, Session
from ssmd.store.timestamps import DAY_NS, day_begins, timestamp

__all__ = ["OpenTime", "Unconnected", "open_times", "unconnected"]

class OpenTime(NamedTuple):
    """A time in which a connection was open, in ns since the epoch, and the cause of its end."""

    begin_ns: int
    end_ns: int
    cause: str


def open_times(day: str, sessions: Sequence[Session], last_line_ns: Mapping[int, int]) -> list[OpenTime]:
    """Return the time of each session of a day (YYYY-MM-DD), cut to the day.

    `last_line_ns`: for each session, by its index, when its last line was received. A session without an end in the
    ledger was open at least until then.
    """
    begin = day_begins(day)
    found = []
    for index, session in enumerate(sessions):
        begin_ns = begin if session.began.event == CONTINUED else session.began.ts_ns
        if session.ended is None:
            end_ns = max(session.seen_ns, last_line_ns.get(index, 0))
        elif session.cause != ROTATED:
            end_ns = session.ended.ts_ns
        elif session is sessions[-1]:
            end_ns = begin + DAY_NS
        else:  # The clock was ahead when the session went on to another day: later sessions are on this day again.
            end_ns = last_line_ns.get(index, begin_ns)
        if _was_set_back_over(session, begin, end_ns):
            begin_ns = session.began.ts_ns
        begin_ns, end_ns = (min(max(ns, begin), begin + DAY_NS) for ns in (begin_ns, end_ns))
        found.append(OpenTime(begin_ns, max(begin_ns, end_ns), session.cause))
    return found


def _was_set_back_over(session: Session, midnight: int, end_ns: int) -> bool:
    """Return whether the clock went back over this midnight and had not caught up when the session ended.

    Most likely the clock had been ahead, and the session was not open at midnight at all. A clock that was right until
    it went back looks the same. So the session counts from its first line: too little coverage is no false proof.
    """
    stepped = session.stepped
    if stepped is None or end_ns > stepped.ts_ns:
        return False
    seconds = stepped.fields.get("seconds")
    return isinstance(seconds, int | float) and stepped.ts_ns - seconds * 10**9 < midnight


class Unconnected(NamedTuple):
    """The times of a day in which no connection was open."""

    outages: list[TimeGap]
    closed: list[ClosedTime]
    """Those in which it was closed by schedule, which are no outages."""
    listened_seconds: float
    """The rest of the day."""


def unconnected(day: str, times: Sequence[OpenTime], entries: Sequence[Entry]) -> Unconnected:
    """Return when no connection was open on a day, beside the `times` in which one was.

    `entries`: of the day's ledger. When its first `outage`, or `closed` at a start, began within the day, a session of
    an earlier day's file had been open until then, without a message since midnight. An entry is before the first
    session by its place in the ledger, not by its time: the clock may have been set back between two runs.
    """
    begin = cursor = day_begins(day)
    closed = closed_times(entries)
    first = min((time.begin_ns for time in times), default=begin + DAY_NS)
    cause, since = _before_all(entries)
    if since:
        cursor = max(begin, min(since, first))
    found = Unconnected([], [], 0.0)
    missed_ns = 0
    for time in [*sorted(times), OpenTime(begin + DAY_NS, begin + DAY_NS, "")]:
        if time.begin_ns > cursor:
            missed_ns += time.begin_ns - cursor
            for piece in divide(cursor, time.begin_ns, closed):
                _add(found, piece, cause)
                cause = NOT_STARTED if piece.closed else cause
        if time.end_ns >= cursor:
            cursor, cause = time.end_ns, time.cause
    return found._replace(listened_seconds=round((DAY_NS - missed_ns) / 1e9, 6))


def _before_all(entries: Iterable[Entry]) -> tuple[str, int]:
    """Return the cause of an outage before the first session of a ledger, and when the last one of an earlier ledger
    ended, in ns since the epoch; 0 when that is not known.
    """
    opening = itertools.takewhile(lambda entry: entry.event not in (CONNECTED, CONTINUED), entries)
    before = next((entry for entry in opening if entry.event == OUTAGE or _is_at_start(entry)), None)
    if before is None:
        return NOT_STARTED, 0
    cause = str(before.fields.get("cause")) if before.event == OUTAGE else NOT_STARTED
    return cause, 0 if cause == UNKNOWN else time_in(before, "from")


def _is_at_start(entry: Entry) -> bool:
    return entry.event == CLOSED and time_in(entry, "from") > 0


def _add(found: Unconnected, piece: Piece, cause: str) -> None:
    from_, to = timestamp(piece.begin_ns), timestamp(piece.end_ns)
    seconds = round((piece.end_ns - piece.begin_ns) / 1e9, 6)
    if piece.closed:
        found.closed.append(ClosedTime(from_, to, seconds))
    else:
        found.outages.append(TimeGap(from_, to, seconds, cause))
