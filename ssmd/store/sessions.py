"""Sessions: the connections that a ledger describes, when each began and ended, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from ssmd.contracts.strip import NOT_STARTED
from ssmd.store.ledger import (
    CLOCK_STEPPED,
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    EVENTS,
    FIRST_OF_A_RUN,
    IMPORTED,
    ROTATED,
    STARTED,
    STOPPED,
    Entry,
)

__all__ = [
    "KILLED",
    "NAMING",
    "NOT_STARTED",
    "UNKNOWN",
    "RecordedDialect",
    "Session",
    "changed_dialects",
    "recorded_dialects",
    "sessions",
]

UNKNOWN = "unknown"
"""The cause of an outage when there is data but no ledger, as before ssmd wrote ledgers."""

KILLED = "killed"
"""The cause of an end that no entry describes: the collector was killed, or lost its power or its disk."""


class RecordedDialect(NamedTuple):
    """The dialect of some messages, as an entry of the ledger names it."""

    exchange: str
    """Its name."""
    description: Mapping[str, Any]
    """Of the exchange's messages; empty when the entry has none."""
    offset: int = 0
    """Where the first of these lines begins in the data."""

    def is_like(self, other: RecordedDialect | None) -> bool:
        """Return whether messages of the other one are read in the same way; not so for None.

        The order within a description counts: the first field that a message has is the one that is read.
        """
        return other is not None and self.exchange == other.exchange and repr(self[1]) == repr(other[1])


def recorded_dialects(entries: Iterable[Entry]) -> Iterator[RecordedDialect]:
    """Yield the dialects that the entries of a ledger name, each with the place from which on it holds."""
    for entry in entries:
        if entry.event in NAMING and isinstance(exchange := entry.fields.get("exchange"), str):
            description = entry.fields.get("description")
            yield RecordedDialect(exchange, description if isinstance(description, dict) else _NOTHING, entry.offset)


def changed_dialects(entries: Iterable[Entry]) -> Iterator[RecordedDialect]:
    """Yield those of recorded_dialects() that differ from the one before: a day may have thousands of starts."""
    last: RecordedDialect | None = None
    for one in recorded_dialects(entries):
        if not one.is_like(last):
            last = one
            yield one


NAMING = (STARTED, CONTINUED, IMPORTED)
"""The events that name a dialect."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass
class Session:
    """One connection, or the part of it that belongs to the ledger's day."""

    began: Entry
    """`connected`, or `continued` for one that was open when the day began."""
    dialect: RecordedDialect | None = None
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
    dialect: RecordedDialect | None = None
    for entry in entries:
        if entry.event in (STARTED, CONTINUED):
            dialect = next(recorded_dialects([entry]), dialect)
        if current is not None and entry.event in (CONNECTED, CONTINUED, *FIRST_OF_A_RUN):
            current.next, current = entry, None
        if entry.event in (CONNECTED, CONTINUED):
            current = Session(entry, dialect)
            found.append(current)
        if current is not None and entry.event in EVENTS:
            current.seen_ns = entry.ts_ns
            if entry.event == CLOCK_STEPPED:
                current.stepped = entry
            if entry.event in (DISCONNECTED, STOPPED, ROTATED):
                current.ended = current.next = entry
                current = None
    return found
