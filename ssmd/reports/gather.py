"""Which days a report shows, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import DataError, UsageError
from ssmd.reports.figures import Figures, figures_without_data
from ssmd.reports.last_connection import closed_after, connected_until, has_connection, is_connected, is_imported
from ssmd.reports.read import read_figures
from ssmd.reports.shards import together
from ssmd.store.closed_hours import Times
from ssmd.store.inventory import data_files, day_folders, looking, own_manifests
from ssmd.store.layout import DayFile, day_of, feed_and_shard, feed_of
from ssmd.store.timestamps import day_of_ns

__all__ = ["SINCE_DAYS", "Archive", "days_between", "earlier", "gather", "no_data_since"]

SINCE_DAYS = 7
"""An archive without data for this many days counts as finished, or as a copy, and not as a long outage."""

_WITH_MARKETS = 2
"""Of so many days with data the markets are counted, the newest ones: the last may just have begun."""
_SMALLEST = 32
"""In bytes. A file with a line is at least this long, compressed or not. One without a line, compressed, is shorter."""


def gather(
    storage: Path,
    days: int,
    now_ns: int,
    *,
    trouble: Callable[[DataError], None],
    progress: Callable[[DayFile], None],
    listed: Callable[[Sequence[DayFile]], None] = lambda files: None,
    ended: Callable[[str], None] = lambda day: None,
) -> list[Figures]:
    """Return the figures of the last `days` days, by feed and then by day.

    `storage`: a storage folder, or the folder of one day. Days after today are left out.

    The last day is today, so that an outage that still lasts is included. But when an archive has no data on any of the
    last `days` days, or of the last SINCE_DAYS, it is taken for one that is over. The last day is then its newest one
    with data, and `ended` is called with it.

    A day without data between a feed's first and the last of all is included. The first is the first with a connection:
    a run that never connected does not begin the table. A day that cannot be read is left out, and `trouble` is called.
    `listed` is called with all data files that were found, `progress` with each file that has to be read. Raises
    UsageError when `storage` is not a folder, DataError when it cannot be listed.
    """
    archive = Archive(storage, now_ns)
    listed(archive.files)
    last = archive.last(days, ended)
    first = earlier(last, days - 1)
    found: list[Figures | None] = []
    for shards in archive.feeds().values():
        of_shards = {
            shard: dict(_of_stem(archive, stem, first, last, trouble, progress)) for shard, stem in shards.items()
        }
        found += of_shards[WHOLE].values() if [*shards] == [WHOLE] else _of_feed(archive, shards, of_shards, first)
    return [day for day in found if day is not None]


def _of_feed(
    archive: Archive,
    shards: Mapping[Shard, str],
    of_shards: Mapping[Shard, Mapping[str, Figures | None]],
    first: str,
) -> Iterator[Figures | None]:
    """Yield the days of all shards together, None for a day of which one cannot be read: the rest is not the feed."""
    newest, shard = max((archive.newest_before(first, stem), shard) for shard, stem in shards.items())
    in_force = shard.of if newest else 0
    for day in sorted({day for days in of_shards.values() for day in days}):
        of_day = {shard: days[day] for shard, days in of_shards.items() if day in days}
        known = {shard: figures for shard, figures in of_day.items() if figures is not None}
        if len(known) < len(of_day):
            yield None
        else:
            whole, in_force = together(known, in_force)
            yield whole


def _of_stem(
    archive: Archive,
    stem: str,
    first: str,
    last: str,
    trouble: Callable[[DataError], None],
    progress: Callable[[DayFile], None],
) -> Iterator[tuple[str, Figures | None]]:
    """Yield the days of a feed without shards, or of one shard, each with its figures; None when it cannot be read."""
    before = archive.newest_before(first, stem)
    newest = sorted(day for day, name in archive.known if name == stem and day <= last)[-_WITH_MARKETS:]
    for day in days_between(max(archive.oldest(stem), first), last):
        if (day, stem) not in archive.known:
            yield day, archive.without_data(day, stem, before)
            continue
        before = day
        try:
            yield day, archive.read(day, stem, progress, markets=day in newest)
        except DataError as error:
            trouble(error)
            yield day, None


class Archive:
    """The days of a storage folder, or of the folder of one day, by stem. Raises UsageError, DataError."""

    def __init__(self, storage: Path, now_ns: int) -> None:
        with looking(storage):
            if not storage.is_dir():
                raise UsageError(f"{storage}: there is no such folder")
        self.now_ns = now_ns
        self._today = day_of_ns(now_ns)
        self._only = day_of(storage.resolve())
        self._until_ns: dict[tuple[str, str], int | None] = {}
        self._closed: dict[tuple[str, str], Times] = {}
        self.files = data_files([storage])
        self._by_day = {(file.day, file.stem): file for file in self.files if file.day}
        self._folders = (
            {self._only: storage} if self._only else {folder.name: folder for folder in day_folders(storage)}
        )
        manifests = {(day, stem) for day, folder in self._folders.items() for stem in own_manifests(folder)}
        self.known = set(self._by_day) | manifests
        """The days and stems with data or a manifest."""
        self._begun = {(day, stem) for day, stem in self.known if not self._is_blank(day, stem)}
        """Those on which a connection was open: a run that never connected leaves a file too, without a line."""
        # A clock that was ahead may have left days to come.
        self._newest = {stem: day for day, stem in sorted(self._begun) if day <= self._today}
        self._connected = {
            (day, stem) for stem, day in self._newest.items() if is_connected(self._folders[day], stem, self._today)
        }

    def _is_blank(self, day: str, stem: str) -> bool:
        """Return whether a day has data without a line, in any form, and no connection in its ledger."""
        file = self._by_day.get((day, stem))
        if file is None:
            return False
        try:
            return file.path.stat().st_size < _SMALLEST and not has_connection(self._folders[day], stem)
        except OSError:
            return False  # Whoever reads the day reports what is wrong.

    @property
    def connected(self) -> Collection[tuple[str, str]]:
        """The days and stems whose last connection is still open."""
        return self._connected

    def folder(self, day: str) -> Path:
        return self._folders[day]

    def file(self, day: str, stem: str) -> DayFile | None:
        """Return the data of a day; None when only its manifest is here."""
        return self._by_day.get((day, stem))

    def feeds(self) -> dict[str, dict[Shard, str]]:
        """Return the stems of each feed, by shard."""
        stems = {stem for _, stem in self._begun}
        named = sorted(named for stem in stems if (named := feed_and_shard(stem)) is not None)
        found: dict[str, dict[Shard, str]] = {}
        for feed, shard in named:
            found.setdefault(feed, {})[shard] = shard.stem(feed)
        return found

    def oldest(self, stem: str) -> str:
        return min(day for day, name in self._begun if name == stem)

    def newest_before(self, first: str, stem: str) -> str:
        return max((day for day, name in self.known if name == stem and day < first), default="")

    def last(self, days: int, ended: Callable[[str], None]) -> str:
        """Return the last day to show, empty when there is none; see gather()."""
        last = max(self._newest.values(), default="")
        if last and last < self._today and not self._only:
            if self._connected or last > earlier(self._today, min(days, SINCE_DAYS)):
                return self._today
            ended(last)
        return last

    def without_data(self, day: str, stem: str, before: str) -> Figures:
        """Return the figures of a day without files. `before`: the newest day before it that has some."""
        if (before, stem) not in self._until_ns:
            self._until_ns[before, stem] = self._connected_until(before, stem)
            self._closed[before, stem] = closed_after(self._folders[before], stem)
        until_ns, closed = self._until_ns[before, stem], self._closed[before, stem]
        return figures_without_data(day, feed_of(stem), self.now_ns, until_ns, closed)

    def _connected_until(self, day: str, stem: str) -> int | None:
        """Return until when the last connection of a day was open, in ns; until now if it still is. None when the day
        was imported: nobody knows when its recorder was connected.
        """
        if (day, stem) in self._connected:
            return self.now_ns
        folder = self._folders[day]
        return None if is_imported(folder, stem) else connected_until(folder, stem)

    def read(self, day: str, stem: str, progress: Callable[[DayFile], None], *, markets: bool) -> Figures:
        """Return the figures of one of the `known` days, with those of its `markets` if wanted. Raises DataError."""
        file, connected = self._by_day.get((day, stem)), (day, stem) in self._connected
        return read_figures(
            self._folders[day], day, stem, file, self.now_ns, progress, connected=connected, markets=markets
        )


def no_data_since(newest: str, now_ns: int) -> str:
    """Return the sentence about an archive that has had no data since its newest day."""
    days = (date.fromisoformat(day_of_ns(now_ns)) - date.fromisoformat(newest)).days
    return f"no data since {newest}, {days:,} day{'s' if days > 1 else ''} ago"


def earlier(day: str, days: int) -> str:
    """Return the day so many days before another; empty for none."""
    try:
        return (date.fromisoformat(day) - timedelta(days)).isoformat() if day else ""
    except OverflowError:
        return ""


def days_between(first: str, last: str) -> Iterator[str]:
    """Yield all days from one to another; none where one of them is empty."""
    if first and last:
        for number in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1):
            yield date.fromordinal(number).isoformat()
