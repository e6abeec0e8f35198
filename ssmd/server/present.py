"""What /status says of the last minutes and of today: rates, ages, lateness, when the disk is full, outages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssmd.contracts.strip import OUTAGE, End, Strip
from ssmd.runtime.drift import DriftState
from ssmd.runtime.gap_counts import GapCounts
from ssmd.runtime.recent import QUEUE, Recent
from ssmd.runtime.status import Status
from ssmd.store.timestamps import timestamp

__all__ = [
    "DRIFTS",
    "PIECES",
    "SUBSCRIPTIONS",
    "age",
    "channel_rates",
    "disk_rate",
    "drift",
    "gaps",
    "last_end",
    "late_since",
    "queue",
    "rates",
    "today",
]

DRIFTS = 100
"""How many changes of the messages' shape are listed: the newest."""
SUBSCRIPTIONS = 20
"""How many subscriptions with gaps are listed: those with the most."""
PIECES = 200
"""How many pieces of today are listed: the newest."""


def rates(recent: Recent | None) -> dict[str, Any]:
    found = recent.rates() if recent is not None else None
    return {
        "messages_per_second": None if found is None else round(found.messages, 3),
        "bytes_per_second": None if found is None else round(found.bytes, 3),
    }


def channel_rates(recent: Recent | None) -> dict[str, float]:
    """Return how many messages a second come on each channel whose messages are counted."""
    found = recent.rates() if recent is not None else None
    return {} if found is None else {name: round(rate, 3) for name, rate in found.channels.items()}


def age(recent: Recent | None) -> dict[str, Any]:
    found = recent.ages() if recent is not None else None
    return {
        "p50_seconds": None if found is None else round(found.p50, 6),
        "p99_seconds": None if found is None else round(found.p99, 6),
    }


def disk_rate(recent: Recent | None, free: int | None) -> dict[str, Any]:
    per_day = recent.bytes_per_day() if recent is not None else None
    full = free / per_day if free is not None and per_day else None
    return {
        "bytes_per_day": None if per_day is None else round(per_day),
        "full_in_days": None if full is None else round(full, 3),
    }


def late_since(recent: Recent | None, what: str) -> str | None:
    """Return since when something is late, see Recent; None while it is not."""
    since_ns = recent.late_since(what) if recent is not None else None
    return None if since_ns is None else timestamp(since_ns)


def queue(status: Status, recent: Recent | None) -> dict[str, Any]:
    return {
        "messages": int(status.queue_messages()),
        "bytes": int(status.queue_bytes()),
        "behind_since": late_since(recent, QUEUE),
    }


def gaps(counts: GapCounts, names: bool) -> dict[str, Any]:
    """Return when the gaps were and, with `names`, where: what their numbers count may be named after a market."""
    found: dict[str, Any] = {
        "last_gap": None if counts.last_ns is None else timestamp(counts.last_ns),
        "lost_since": None if counts.lost_since_ns is None else timestamp(counts.lost_since_ns),
    }
    most = sorted(counts.counts.items(), key=lambda one: -one[1].gaps)[:SUBSCRIPTIONS]
    return found | ({"gaps_in": [{"name": name, **count._asdict()} for name, count in most]} if names else {})


def drift(state: DriftState | None, names: bool) -> dict[str, Any] | None:
    """Return what has changed in the shape of messages. `names`: also where; a field may be named after a market."""
    if state is None:
        return None
    found: dict[str, Any] = {
        "level": state.level,
        "days_before": state.days_before,
        "looked_at": state.looked_at,
        "passed_over": state.passed_over,
        "changes": len(state.found),
    }
    return found | ({"found": [one._asdict() for one in state.found[-DRIFTS:]]} if names else {})


def today(days: Sequence[Strip] | None) -> dict[str, Any] | None:
    if not days:
        return None
    strip = days[-1]
    before = strip.before_all
    pieces = [
        {"from": timestamp(piece.begin_ns), "to": timestamp(piece.end_ns), "state": piece.kind, "cause": piece.cause}
        for piece in strip.pieces[-PIECES:]
    ]
    return {
        "day": strip.day,
        "coverage_percent": _rounded_down(strip.coverage),
        "coverage_since_first_run_percent": _rounded_down(strip.coverage_since_first_run),
        "first_run": None if before is None else timestamp(before.end_ns),
        "outages": len(strip.outages) - (before is not None),
        "outage_since": _outage_since(days),
        "gaps": len(strip.gaps_ns),
        "pieces": pieces,
    }


def last_end(status: Status, days: Sequence[Strip] | None, texts: bool) -> dict[str, Any] | None:
    """Return how the last run has ended, or this one if it waits before its end; None when that is not known.

    `texts`: with the reason, which may be a text of the exchange.
    """
    ends = [strip.last_end for strip in days or () if strip.last_end is not None]
    # The newest: the first start of today tells of the kill of an earlier day, after which there may have been others.
    found: End | None = status.not_connected or max(ends, key=lambda end: end.ts_ns, default=None)
    if found is None:
        return None
    end = {"time": timestamp(found.ts_ns), "killed": found.reason is None}
    return end | ({"reason": found.reason} if texts else {})


def _rounded_down(percent: float | None) -> float | None:
    return None if percent is None else int(percent * 10_000) / 10_000


def _outage_since(days: Sequence[Strip]) -> str | None:
    """Return since when nobody has listened, over all runs and midnights; None while somebody listens, or it is closed.

    The time before the first run of all is no part of it.
    """
    since: int | None = None
    for strip in reversed(days):
        for piece in reversed(strip.pieces):
            if piece.kind != OUTAGE or piece == strip.before_all:
                return None if since is None else timestamp(since)
            since = piece.begin_ns
    return None if since is None else timestamp(since)
