"""How much of a day was listened to, and what the times in which it was not are due to. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ssmd.store.ledger import CONNECTED, CONTINUED, OUTAGE, ROTATED, Entry, time_in
from ssmd.store.manifest import TimeGap
from ssmd.store.sessions import UNKNOWN, Session
from ssmd.store.timestamps import parse_timestamp, timestamp

__all__ = ["DAY_NS", "NOT_STARTED", "Listened", "day_begins", "listened", "time_gaps"]

DAY_NS = 86_400 * 1_000_000_000

NOT_STARTED = "not_started"
"""The cause of a day's first gap when no outage tells of an earlier run."""


class Listened(NamedTuple):
    """A time in which a connection was open, ns since the epoch, and why it ended."""

    begin_ns: int
    end_ns: int
    cause: str


def day_begins(day: str) -> int:
    """Midnight, in ns since the epoch. `day` is YYYY-MM-DD."""
    return parse_timestamp(f"{day}T00:00:00.000000Z")


def listened(day: str, sessions: Sequence[Session], last_line_ns: Mapping[int, int]) -> list[Listened]:
    """The times of the sessions of one day.

    `last_line_ns`: by the place of a session in the list, when its last line was received: a session whose end
    nobody wrote down lasted at least until then.
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
        else:  # The clock was ahead when it went on to another day, for others came after it on this one.
            end_ns = last_line_ns.get(index, begin_ns)
        if _was_set_back_over(session, begin, end_ns):
            begin_ns = session.began.ts_ns
        begin_ns, end_ns = (min(max(ns, begin), begin + DAY_NS) for ns in (begin_ns, end_ns))
        found.append(Listened(begin_ns, max(begin_ns, end_ns), session.cause))
    return found


def _was_set_back_over(session: Session, midnight: int, end_ns: int) -> bool:
    """Whether the clock went back over this midnight, and until the session's end had not caught up.

    Most likely it had been ahead, and the session only seemed to come over it. Nobody can tell that from a clock that
    was right until it went back; so the session counts from its first line, for too little is no false proof.
    """
    stepped = session.stepped
    if stepped is None or end_ns > stepped.ts_ns:
        return False
    seconds = stepped.fields.get("seconds")
    return isinstance(seconds, int | float) and stepped.ts_ns - seconds * 10**9 < midnight


def time_gaps(day: str, times: Sequence[Listened], entries: Iterable[Entry]) -> tuple[list[TimeGap], float]:
    """The rest of the day, and how many seconds were listened to. `entries`: the day's ledger.

    When the first outage began within the day, a session of an earlier day's file had lasted until then, without a
    message since midnight. The clock may have been set back between two runs, so they need not be in order: what
    stood before the first session is told by its place in the ledger, and not by its time.
    """
    begin = cursor = day_begins(day)
    first = min((time.begin_ns for time in times), default=begin + DAY_NS)
    opening = itertools.takewhile(lambda entry: entry.event not in (CONNECTED, CONTINUED), entries)
    before = [entry for entry in opening if entry.event == OUTAGE]
    cause = str(before[0].fields.get("cause")) if before else NOT_STARTED
    if before and cause != UNKNOWN:
        cursor = max(begin, min(time_in(before[0], "from"), first))
    gaps = []
    missed_ns = 0
    for time in [*sorted(times), Listened(begin + DAY_NS, begin + DAY_NS, "")]:
        if time.begin_ns > cursor:
            missed_ns += time.begin_ns - cursor
            gaps.append(
                TimeGap(timestamp(cursor), timestamp(time.begin_ns), round((time.begin_ns - cursor) / 1e9, 6), cause)
            )
        if time.end_ns >= cursor:
            cursor, cause = time.end_ns, time.cause
    return gaps, round((DAY_NS - missed_ns) / 1e9, 6)
