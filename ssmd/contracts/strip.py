"""A day as a strip of time: when the collector listened, and when and why it did not. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ssmd.contracts.shard import Shard

__all__ = ["CLOSED", "LISTENING", "NOT_STARTED", "OUTAGE", "UNKNOWN", "End", "Piece", "ShardToday", "Strip"]

LISTENING, OUTAGE, CLOSED, UNKNOWN = "listening", "outage", "closed", "unknown"
"""What a piece of a day is. CLOSED: by schedule, which is no outage. UNKNOWN: no ledger says it."""

NOT_STARTED = "not_started"
"""The cause of an outage before the first run of all, and of one from an opening of the schedule to a late start."""


class Piece(NamedTuple):
    """A part of a day, in ns since the epoch."""

    begin_ns: int
    end_ns: int
    kind: str
    cause: str = ""
    """Of an OUTAGE: why nobody listened, as a ledger names it; else empty."""


class End(NamedTuple):
    """How a run has ended."""

    ts_ns: int
    """When, ns since the epoch; for a run that was killed the last time at which it is known to have lasted."""
    reason: str | None
    """One line for people, which may be a text of the exchange; empty when the ledger has none. None when nothing says
    that the run has ended: it was killed.
    """


class Strip(NamedTuple):
    """A UTC day of a feed, or of one shard of it."""

    day: str
    """YYYY-MM-DD."""
    pieces: Sequence[Piece]
    """In order, without holes, from the beginning of the day to its end, or to now."""
    gaps_ns: Sequence[int] = ()
    """When sequence gaps were found, ns since the epoch; of several in a row the first and the last. Empty for a sealed
    day, whose manifest only counts them."""
    gaps: int | None = None
    """How many gaps a sealed day has; None when that is not known."""
    missing: int | None = None
    """How many messages are missing in them; None when that is not known."""
    last_end: End | None = None
    """How the last run that is over has ended; None when none has on this day, and for a sealed day."""

    @property
    def outages(self) -> Sequence[Piece]:
        return [piece for piece in self.pieces if piece.kind == OUTAGE]

    @property
    def before_all(self) -> Piece | None:
        """The time before the first run of all, if it was on this day; None otherwise. It counts as an outage."""
        first = self.pieces[0] if self.pieces else None
        return first if first is not None and first.cause == NOT_STARTED else None

    @property
    def coverage(self) -> float | None:
        """The percentage of the time in which it was not closed that it listened; None when nothing is known of it."""
        return _coverage(self.pieces)

    @property
    def coverage_since_first_run(self) -> float | None:
        """The same of the time since the first run of all, if that was on this day."""
        return _coverage(self.pieces if self.before_all is None else self.pieces[1:])


class ShardToday(NamedTuple):
    """A shard of a feed today, as its ledger says."""

    shard: Shard
    strip: Strip | None
    """None when it has no ledger of today here."""
    is_connected: bool
    """It was connected when that was read."""
    read_ns: int
    """When its ledger was looked at, ns since the epoch."""


def _coverage(pieces: Sequence[Piece]) -> float | None:
    by_kind = dict.fromkeys((LISTENING, OUTAGE, CLOSED, UNKNOWN), 0)
    for piece in pieces:
        by_kind[piece.kind] += piece.end_ns - piece.begin_ns
    open_ns = by_kind[LISTENING] + by_kind[OUTAGE]
    if open_ns:
        return 100.0 if not by_kind[OUTAGE] else 100 * by_kind[LISTENING] / open_ns
    return 100.0 if by_kind[CLOSED] else None
