"""The figures of one day of one feed, from a manifest: that of the day, or what was counted by reading it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import UNSET

from ssmd.contracts.shard import Shard
from ssmd.reports.spans import covered, cut
from ssmd.shape.shape import Markets
from ssmd.store.closed_hours import Times, divide
from ssmd.store.manifest import ClosedTime, Manifest, TimeGap
from ssmd.store.manifest_formats import closed_seconds, known
from ssmd.store.sessions import KILLED
from ssmd.store.timestamps import DAY_NS, day_begins, parse_timestamp, timestamp

__all__ = [
    "Absence",
    "Figures",
    "coverage_of",
    "figures_of",
    "figures_without_data",
    "outages_of",
]

_HOUR_NS = DAY_NS // 24


class Absence(NamedTuple):
    """A time in which a shard did not listen while it was needed."""

    shard: Shard
    gap: TimeGap


@dataclass(frozen=True)
class Figures:
    """One day of one feed, or of one of its shards.

    Counts are 0 for a day without data; None is a figure that is not known.
    """

    day: str
    """YYYY-MM-DD."""
    feed: str
    messages: int = 0
    bytes: int = 0
    """Of the lines without compression."""
    stored_bytes: int = 0
    """The size of the data file; 0 when only the manifest is here."""
    by_hour: Sequence[int] = (0,) * 24
    """Messages in each UTC hour."""
    peak_second: int | None = 0
    """The most messages in one second, of shards in that of the busiest one; None for a day that was sealed with format
    1, which does not have it."""
    by_type: dict[str, int] = field(default_factory=dict)
    markets: Markets | None = None
    """None when they are not known; of days before the newest ones they were not looked for."""
    not_json: int = 0
    sequence_gaps: int | None = None
    """None when it is not known, because the messages have no sequence numbers."""
    missing: int | None = None
    """Messages missing in those gaps; None when that is not known, or not of one of the gaps."""
    outages: Sequence[TimeGap] = ()
    """The times without a connection, within the part of the day that `known_ns` covers. Of shards, the times in which
    any of them was missing."""
    closed: Sequence[ClosedTime] = ()
    """The times without a connection in which the schedule was closed, within the same part."""
    absences: Sequence[Absence] = ()
    """Which shards were missing when; empty for a feed without shards."""
    heard_ns: int | None = None
    """The time in which any of several shards listened; None for a feed without shards."""
    known_ns: int = DAY_NS
    """How much of the day is known: all of it when the day is over. Of today, up to now or, while it is being
    collected, up to its last line."""
    coverage: float | None = 0.0
    """The percentage of `open_ns` in which a connection was open, of shards all connections; None when no ledger says
    it."""
    sealed: bool = False

    @property
    def over(self) -> bool:
        return self.known_ns == DAY_NS

    @property
    def open_ns(self) -> int:
        """How much of `known_ns` was not closed by schedule."""
        return max(0, self.known_ns - round(1e9 * sum(closed.seconds for closed in self.closed)))

    @property
    def hides_loss(self) -> bool:
        """Whether lost messages do not show, although there are messages."""
        return bool(self.messages) and self.sequence_gaps is None

    @property
    def has_lost(self) -> bool:
        """Whether messages are missing, even if it is not known how many."""
        return bool(self.missing or (self.missing is None and self.sequence_gaps))

    @property
    def outage_count(self) -> int | None:
        """How many outages there are; None when no ledger says it."""
        return None if self.coverage is None else len(self.outages)

    @property
    def seconds_out(self) -> float:
        return sum(outage.seconds for outage in self.outages)

    @property
    def mean_rate(self) -> float | None:
        """Messages a second while a connection was open, of shards any connection; None when it is not known how long
        that was, or never.
        """
        listened_ns = self.heard_ns if self.heard_ns is not None else self.open_ns * (self.coverage or 0.0) / 100
        return self.messages * 1e9 / listened_ns if listened_ns else None

    @property
    def rates(self) -> list[float]:
        """Messages a second in each hour; of an hour that is not over, in the part that is known."""
        seconds = [min(max(self.known_ns - hour * _HOUR_NS, 0), _HOUR_NS) / 1e9 for hour in range(24)]
        return [count / span if span >= 1 else 0.0 for count, span in zip(self.by_hour, seconds, strict=True)]


def coverage_of(manifest: Manifest) -> float | None:
    """Return the percentage of a whole day, without closed hours, in which a connection was open, None when it is not
    known.

    100 means all of it. The manifest's own `coverage_percent` has only four digits behind the point.
    """
    manifest = known(manifest)
    if manifest.listened_seconds is None:
        return None
    open_ns = DAY_NS - round(closed_seconds(manifest) * 1e9)
    return 100 * manifest.listened_seconds * 1e9 / open_ns if open_ns else 100.0


def outages_of(manifest: Manifest, *, sealed: bool) -> list[TimeGap] | None:
    """Return the outages of a day, None when they are not known.

    A day that is not sealed may still be collected, so the time after its last connection is left out.
    """
    gaps = known(manifest).gaps
    if gaps is None or sealed:
        return gaps
    return [gap for gap in gaps if parse_timestamp(gap.to) < day_begins(manifest.day) + DAY_NS]


def figures_of(manifest: Manifest, now_ns: int, *, stored_bytes: int, sealed: bool, connected: bool = False) -> Figures:
    """Return the figures of a manifest, of any format, as of now.

    `connected`: the last session, whose end is not in the ledger, goes on.
    """
    manifest = known(manifest)
    begin, end = day_begins(manifest.day), day_begins(manifest.day) + DAY_NS
    gaps, until = manifest.gaps or [], min(max(now_ns, begin), end)  # The rest of today is no outage.
    if connected and manifest.sessions and manifest.sessions[-1].cause == KILLED:
        last_line = manifest.sessions[-1].ended
        gaps = [gap for gap in gaps if gap.from_ != last_line]
        if now_ns < end:  # The figures are those of its last line.
            until = parse_timestamp(last_line)
    gaps = [cut(gap, until) for gap in gaps if parse_timestamp(gap.from_) < until]
    closed = [cut(time, until) for time in manifest.closed or () if parse_timestamp(time.from_) < until]
    is_known = manifest.gaps is not None
    return Figures(
        day=manifest.day,
        feed=manifest.feed,
        messages=manifest.lines,
        bytes=manifest.bytes,
        stored_bytes=stored_bytes,
        by_hour=manifest.messages_by_hour,
        peak_second=manifest.peak_second if manifest.peak_second is not UNSET else None,
        by_type=manifest.messages_by_type,
        not_json=manifest.not_json,
        sequence_gaps=manifest.sequence_gaps,
        missing=manifest.missing,
        outages=gaps,
        closed=closed,
        known_ns=until - begin,
        coverage=covered(until - begin, gaps, closed) if is_known else None,
        sealed=sealed,
    )


def figures_without_data(
    day: str, feed: str, now_ns: int, connected_until_ns: int | None, closed: Times = ()
) -> Figures:
    """Return the figures of a day that has no files.

    `connected_until_ns`: until then a connection of an earlier day was open, over which no message came; None when that
    is not known. `closed`: when it was closed by schedule, as the ledger of that day says.
    """
    begin = day_begins(day)
    known_ns = min(max(now_ns - begin, 0), DAY_NS)
    if connected_until_ns is None:
        return Figures(day, feed, known_ns=known_ns, coverage=None)
    end = begin + known_ns
    outages, hours = [], []
    for piece in divide(min(max(connected_until_ns, begin), end), end, closed):
        from_, to = timestamp(piece.begin_ns), timestamp(piece.end_ns)
        seconds = (piece.end_ns - piece.begin_ns) / 1e9
        if piece.closed:
            hours.append(ClosedTime(from_, to, seconds))
        else:
            outages.append(TimeGap(from_, to, seconds, "no data"))
    coverage = covered(known_ns, outages, hours)
    return Figures(day, feed, outages=outages, closed=hours, known_ns=known_ns, coverage=coverage)
