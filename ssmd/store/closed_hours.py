"""The hours that a ledger says were closed by schedule, which are no outage. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ssmd.store.ledger import CLOSED, OPENED, STARTED, Entry, time_in

__all__ = ["Piece", "Times", "closed_times", "closed_until", "divide", "joined"]

Times = Sequence[tuple[int, int]]
"""Stretches of time, each with its beginning and its end in ns since the epoch; in order, none touching the next."""

_FOR_EVER = 1 << 63
"""The end of hours that are closed for ever."""


class Piece(NamedTuple):
    """A part of a stretch of time, in ns since the epoch."""

    begin_ns: int
    end_ns: int
    closed: bool


def closed_times(entries: Iterable[Entry]) -> Times:
    """Return when it was closed by schedule, as far as the entries of a ledger say it.

    `opened` at the beginning of a run says which hours before and after it are closed: so each day can be read alone,
    and a kill hides no closing. `closed` says it at the end of a run, and at the start after that. What is said of the
    time after a later start does not count: the schedule may have been changed.
    """
    found: list[tuple[int, int]] = []
    planned: list[tuple[int, int]] = []
    for entry in entries:
        if entry.event == STARTED:
            found += [(since, min(until, entry.ts_ns)) for since, until in planned]
            planned = []
        elif entry.event == CLOSED:
            planned.append((time_in(entry, "from") or entry.ts_ns, time_in(entry, "until") or _FOR_EVER))
        elif entry.event == OPENED:
            planned.append((time_in(entry, "since"), time_in(entry, "at")))
            if closes_ns := time_in(entry, "closes"):
                planned.append((closes_ns, time_in(entry, "until") or _FOR_EVER))
    return joined(found + planned)


def closed_until(entries: Sequence[Entry]) -> int | None:
    """Return until when it is closed after the last run of a ledger, in ns since the epoch; None when that run did not
    end at the closing.
    """
    for entry in reversed(entries):
        if entry.event == CLOSED:
            return time_in(entry, "until") or _FOR_EVER
        if entry.event == STARTED:
            break
    return None


def divide(begin_ns: int, end_ns: int, closed: Times) -> Iterator[Piece]:
    """Yield the parts of a stretch of time that were closed, and those that were not, in order."""
    cursor = begin_ns
    for since, until in closed:
        since, until = max(since, cursor), min(until, end_ns)
        if since >= until:
            continue
        if since > cursor:
            yield Piece(cursor, since, False)
        yield Piece(since, until, True)
        cursor = until
    if cursor < end_ns:
        yield Piece(cursor, end_ns, False)


def joined(times: Iterable[tuple[int, int]]) -> Times:
    """Return stretches of time in order, those that touch or overlap as one."""
    found: list[tuple[int, int]] = []
    for since, until in sorted(time for time in times if time[0] < time[1]):
        if found and since <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], until)
        else:
            found.append((since, until))
    return found
