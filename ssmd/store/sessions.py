"""Sessions: the connections that a ledger describes, when each began and ended, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssmd.store.ledger import (
    CLOCK_STEPPED,
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    EVENTS,
    FIRST_OF_A_RUN,
    ROTATED,
    STARTED,
    STOPPED,
    Entry,
)

__all__ = ["KILLED", "UNKNOWN", "Session", "sessions"]

UNKNOWN = "unknown"
"""The cause of an outage when there is data but no ledger, as before ssmd wrote ledgers."""

KILLED = "killed"
"""The cause of an end that no entry describes: the collector was killed, or lost its power or its disk."""


@dataclass
class Session:
    """One connection, or the part of it that belongs to the ledger's day."""

    began: Entry
    """`connected`, or `continued` for one that was open when the day began."""
    exchange: str | None = None
    """Its dialect, from the last `started` or `continued` that names one."""
    ended: Entry | None = None
    """`disconnected`, `stopped` or `rotated`; None when no entry ends it."""
    seen_ns: int = 0
    """The time of its last entry with an event that this version knows."""
    stepped: Entry | None = None
    """Its last `clock_stepped`."""
    next: Entry | None = None
    """The entry that ends it, or the first one of what follows it."""

    @property
    def cause(self) -> str:
        """Why it ended: disconnected, stopped, rotated (it continues in the next day's file) or KILLED."""
        return KILLED if self.ended is None else self.ended.event


def sessions(entries: Iterable[Entry]) -> list[Session]:
    """Return the sessions of one day's ledger, in order; `entries`: as Entries yields them."""
    found: list[Session] = []
    current: Session | None = None
    exchange = None
    for entry in entries:
        if entry.event in (STARTED, CONTINUED) and isinstance(entry.fields.get("exchange"), str):
            exchange = entry.fields["exchange"]
        if current is not None and entry.event in (CONNECTED, CONTINUED, *FIRST_OF_A_RUN):
            current.next, current = entry, None
        if entry.event in (CONNECTED, CONTINUED):
            current = Session(entry, exchange)
            found.append(current)
        if current is not None and entry.event in EVENTS:
            current.seen_ns = entry.ts_ns
            if entry.event == CLOCK_STEPPED:
                current.stepped = entry
            if entry.event in (DISCONNECTED, STOPPED, ROTATED):
                current.ended = current.next = entry
                current = None
    return found
