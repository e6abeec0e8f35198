"""The connections that a ledger tells of: from when to when somebody listened, and why it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ssmd.store.ledger import (
    CLOCK_STEPPED,
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    FIRST_OF_A_RUN,
    ROTATED,
    STARTED,
    STOPPED,
    Entry,
)

__all__ = ["KILLED", "UNKNOWN", "Session", "sessions"]

UNKNOWN = "unknown"
"""The cause of an outage when there is data but no ledger, as before there were any."""

KILLED = "killed"
"""The cause of an end that nobody wrote down: killed, without power, or without a disk to write on."""


@dataclass
class Session:
    """One connection, or the part of it that belongs to the ledger's day."""

    began: Entry
    """`connected`, or `continued` for one that was open when the day began."""
    exchange: str | None = None
    """The dialect it spoke, by the last `started` or `continued` that names one."""
    ended: Entry | None = None
    """`disconnected`, `stopped` or `rotated`; None when nothing tells of an end."""
    seen_ns: int = 0
    """The time of its last entry."""
    stepped: Entry | None = None
    """Its last `clock_stepped`."""
    next: Entry | None = None
    """The first entry after it, where the lines of another run begin."""

    @property
    def cause(self) -> str:
        """Why it ended: disconnected, stopped, rotated (it goes on in the next day's file) or KILLED."""
        return KILLED if self.ended is None else self.ended.event


def sessions(entries: Iterable[Entry]) -> list[Session]:
    """The sessions of one day's ledger, in order; `entries` as Entries has them."""
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
        if current is not None:
            current.seen_ns = entry.ts_ns
            if entry.event == CLOCK_STEPPED:
                current.stepped = entry
            if entry.event in (DISCONNECTED, STOPPED, ROTATED):
                current.ended = current.next = entry
                current = None
    return found
