"""Lines of a day that were received while, by its ledger, no connection was open. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssmd.store.ledger import (
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    EVENTS,
    FIRST_OF_A_RUN,
    IMPORTED,
    OF_A_RUN,
    ROTATED,
    STOPPED,
    Entry,
)

__all__ = ["LineRange", "has_unknown", "imported_lines", "unconnected_lines"]


class LineRange(NamedTuple):
    """Some lines in a row, counted from 1."""

    first: int
    last: int


def unconnected_lines(entries: Iterable[Entry], lines: int) -> Iterator[LineRange]:
    """Yield the lines that belong to no connection. `entries`: as Entries has them. `lines`: how many the data has.

    Lines before all entries, and those between the end of a run and the next entry, are left out: other findings are
    about them. Lines that were imported need no connection.
    """
    since: int | None = None  # The number of lines when the last connection ended; None while one is open.
    for entry in entries:
        if entry.event in (CONNECTED, CONTINUED, STOPPED, ROTATED, IMPORTED):
            if since is not None and since < entry.line:
                yield LineRange(since + 1, min(entry.line, lines))
            since = None
        elif entry.event == DISCONNECTED or (entry.event in FIRST_OF_A_RUN and since is None):
            since = entry.line
    if since is not None and since < lines:
        yield LineRange(since + 1, lines)


def has_unknown(entries: Iterable[Entry]) -> bool:
    """Return whether there are events that this version does not know."""
    return any(entry.event not in EVENTS for entry in entries)


def imported_lines(entries: Iterable[Entry], lines: int) -> int:
    """Return how many of a day's lines were imported: those before its first run, if the ledger says `imported`."""
    found = False
    for entry in entries:
        found = found or entry.event == IMPORTED
        if entry.event in OF_A_RUN:
            return entry.line if found else 0
    return lines if found else 0
