"""The followed markets of an archive: when each was open and not collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import DataError
from ssmd.proof.examine import examine
from ssmd.proof.followed_markets import FollowedMarkets
from ssmd.proof.missed_markets import MissedMarket, missed_markets, recorded_times
from ssmd.reports.gather import Archive, days_between, earlier
from ssmd.store.closed_hours import Times, closed_times, joined
from ssmd.store.layout import DayFile, ledger_path, manifest_path
from ssmd.store.ledger_file import read_ledger
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest
from ssmd.store.timestamps import DAY_NS, day_begins

__all__ = ["FeedMarkets", "followed_markets"]


class FeedMarkets(NamedTuple):
    """The followed markets of one feed."""

    feed: str
    markets: Sequence[MissedMarket]


class _Part(NamedTuple):
    """A feed without shards, or one shard."""

    markets: FollowedMarkets
    closed: Times
    until_ns: int
    """How far it is known."""


def followed_markets(
    storage: Path,
    days: int,
    now_ns: int,
    *,
    trouble: Callable[[DataError], None],
    progress: Callable[[DayFile], None],
    ended: Callable[[str], None],
) -> Iterator[FeedMarkets]:
    """Yield each feed that follows markets, over the last `days` days; the parameters are those of gather()."""
    archive = Archive(storage, now_ns)
    last = archive.last(days, ended)
    first = earlier(last, days - 1)
    for feed, shards in archive.feeds().items():
        parts = [_part(archive, stem, first, last, trouble, progress) for stem in shards.values()]
        if any(part.markets.markets for part in parts):
            closed = joined(time for part in parts for time in part.closed)
            until_ns = max(part.until_ns for part in parts)
            yield FeedMarkets(feed, list(missed_markets([part.markets for part in parts], until_ns, closed)))


def _part(
    archive: Archive,
    stem: str,
    first: str,
    last: str,
    trouble: Callable[[DataError], None],
    progress: Callable[[DayFile], None],
) -> _Part:
    """Read the days of one stem. A day that cannot be read is left out."""
    markets = FollowedMarkets()
    closed: list[tuple[int, int]] = []
    until_ns = min(archive.now_ns, day_begins(last) + DAY_NS)
    for day in (day for day in days_between(first, last) if (day, stem) in archive.known):
        try:
            manifest = _manifest(archive, day, stem, progress)
            ledger = read_ledger(ledger_path(archive.folder(day), stem))
        except DataError as error:
            trouble(error)
            continue
        entries = [] if ledger is None else ledger.entries.outline()
        times = recorded_times(manifest.sessions)
        markets.take(day, entries, times)
        closed += closed_times(entries)
        if times and (day, stem) in archive.connected:
            until_ns = times[-1].end_ns  # It is known up to its last line.
    markets.finish()
    return _Part(markets, closed, until_ns)


def _manifest(archive: Archive, day: str, stem: str, progress: Callable[[DayFile], None]) -> Manifest:
    """Return the manifest of a day; it is worked out where there is none. Raises DataError."""
    path = manifest_path(archive.folder(day), stem)
    manifest = read_manifest(path)
    if manifest is not None:
        return manifest
    file = archive.file(day, stem)
    if file is None:  # Its manifest was there a moment ago.
        raise DataError(f"{path}: has been removed")
    progress(file)
    return examine(file).manifest
