"""Stretches of a day, outages and closed hours: how long they are, and what they leave. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from ssmd.store.manifest import ClosedTime, TimeGap
from ssmd.store.timestamps import parse_timestamp, timestamp

__all__ = ["covered", "cut", "span"]

T = TypeVar("T", TimeGap, ClosedTime)


def span(time: TimeGap | ClosedTime) -> tuple[int, int]:
    """Return the beginning and the end of a stretch, in ns since the epoch."""
    return parse_timestamp(time.from_), parse_timestamp(time.to)


def cut(time: T, until_ns: int) -> T:
    """Return the part of a stretch that is before a time, in ns since the epoch. The stretch begins before it."""
    begin_ns, end_ns = span(time)
    if end_ns <= until_ns:
        return time
    return replace(time, to=timestamp(until_ns), seconds=round((until_ns - begin_ns) / 1e9, 6))


def covered(known_ns: int, outages: Sequence[TimeGap], closed: Sequence[ClosedTime]) -> float:
    """Return the percentage of a time that was not closed in which there was no outage; 0 for no time at all."""
    if not known_ns:
        return 0.0
    open_ns = known_ns - _length(closed)
    return 100 * (1 - _length(outages) / open_ns) if open_ns else 100.0


def _length(times: Sequence[TimeGap | ClosedTime]) -> int:
    return sum(end_ns - begin_ns for begin_ns, end_ns in map(span, times))
