"""The figures of each day and feed: from its manifest where it is sealed, else counted by reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from ssmd.errors import DataError, UsageError
from ssmd.proof.examine import examine
from ssmd.reports.listening import heard_until, is_open
from ssmd.store.inventory import data_files, day_folders, in_any_form, looking, own_manifests
from ssmd.store.layout import DayFile, day_of, manifest_path
from ssmd.store.manifest import Manifest, TimeGap
from ssmd.store.manifest_file import read_manifest
from ssmd.store.sessions import KILLED
from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns, parse_timestamp, timestamp

__all__ = ["SINCE_DAYS", "Figures", "figures_of", "gather"]

SINCE_DAYS = 7
"""An archive that has had no data for so many days is one that is over, or a copy, and no outage that still lasts."""

_HOUR_NS = DAY_NS // 24


@dataclass(frozen=True)
class Figures:
    """One day of one feed. Without any data all is 0."""

    day: str
    feed: str
    messages: int = 0
    bytes: int = 0
    """Of the lines, however they are compressed."""
    stored_bytes: int = 0
    """What the data takes on the disk; 0 when it lies elsewhere and only the manifest is here."""
    by_hour: Sequence[int] = (0,) * 24
    by_type: dict[str, int] = field(default_factory=dict)
    not_json: int = 0
    sequence_gaps: int = 0
    missing: int = 0
    """Messages missing in those gaps."""
    outages: Sequence[TimeGap] = ()
    """The times in which nobody listened, of what is known of the day."""
    known_ns: int = DAY_NS
    """How much of the day is over, or of today, while it is being collected, is known."""
    coverage: float | None = 0.0
    """Percent of that which was listened to; None for a day without a ledger, of which nobody knows."""
    sealed: bool = False

    @property
    def over(self) -> bool:
        return self.known_ns == DAY_NS

    @property
    def seconds_out(self) -> float:
        return sum(outage.seconds for outage in self.outages)

    @property
    def rates(self) -> list[float]:
        """Messages a second in each hour; the hour that is not over counts as far as it is known."""
        seconds = [min(max(self.known_ns - hour * _HOUR_NS, 0), _HOUR_NS) / 1e9 for hour in range(24)]
        return [count / span if span >= 1 else 0.0 for count, span in zip(self.by_hour, seconds, strict=True)]


def gather(
    storage: Path,
    days: int,
    now_ns: int,
    *,
    trouble: Callable[[DataError], None],
    progress: Callable[[DayFile], None],
    ended: Callable[[str], None] = lambda day: None,
) -> list[Figures]:
    """Return the figures of the last `days` days, by feed and then by day.

    `storage`: a storage folder, or the folder of one day. Days after today are left out.

    The last day is today, so that an outage that still lasts is included. But when an archive has no data on any of the
    last `days` days, or of the last SINCE_DAYS, it is taken for one that is over. The last day is then its newest one
    with data, and `ended` is called with it.

    A day without data between a feed's first and the last of all is included. A day that cannot be read is left out,
    and `trouble` is called; `progress` is called with each file that has to be read. Raises UsageError for what is no
    storage folder.
    """
    archive = _Archive(storage, now_ns)
    last = archive.last(days, ended)
    first = _earlier(last, days - 1)
    found = []
    for feed in archive.feeds():
        before, heard_ns = archive.newest_before(first, feed), None
        for day in _days(max(archive.oldest(feed), first), last):
            if (day, feed) not in archive.known:
                if heard_ns is None:
                    heard_ns = archive.heard_until(before, feed)
                found.append(_nothing(day, feed, now_ns, heard_ns))
                continue
            before, heard_ns = day, None
            try:
                found.append(archive.read(day, feed, progress))
            except DataError as error:
                trouble(error)
    return found


class _Archive:
    """The days of a storage folder, or of the folder of one day, by feed. Raises UsageError, DataError."""

    def __init__(self, storage: Path, now_ns: int) -> None:
        with looking(storage):
            if not storage.is_dir():
                raise UsageError(f"{storage}: there is no such folder")
        self._now_ns = now_ns
        self._today = day_of_ns(now_ns)
        self._only = day_of(storage.resolve())
        self._files = {(file.day, file.feed): file for file in data_files([storage]) if file.day}
        self._folders = (
            {self._only: storage} if self._only else {folder.name: folder for folder in day_folders(storage)}
        )
        manifests = {(day, feed) for day, folder in self._folders.items() for feed in own_manifests(folder)}
        self.known = set(self._files) | manifests
        """The days and feeds of which there is anything."""
        # A clock may have been ahead once.
        self._newest = {feed: day for day, feed in sorted(self.known) if day <= self._today}
        self._open = {
            (day, feed) for feed, day in self._newest.items() if is_open(self._folders[day], feed)
        }

    def feeds(self) -> list[str]:
        return sorted({feed for _, feed in self.known})

    def oldest(self, feed: str) -> str:
        return min(day for day, name in self.known if name == feed)

    def newest_before(self, first: str, feed: str) -> str:
        return max((day for day, name in self.known if name == feed and day < first), default="")

    def last(self, days: int, ended: Callable[[str], None]) -> str:
        """Return the last day to show; empty when there is none."""
        last = max(self._newest.values(), default="")
        if last and last < self._today and not self._only:
            if self._open or last > _earlier(self._today, min(days, SINCE_DAYS)):
                return self._today
            ended(last)
        return last

    def heard_until(self, day: str, feed: str) -> int:
        """Return until when the last connection of a day was open, in ns; until now if it still is."""
        return self._now_ns if (day, feed) in self._open else heard_until(self._folders[day], feed)

    def read(self, day: str, feed: str, progress: Callable[[DayFile], None]) -> Figures:
        """Return the figures of a day of which there is anything. Raises DataError."""
        file, listened = self._files.get((day, feed)), (day, feed) in self._open
        return _read(self._folders[day], day, feed, file, self._now_ns, progress, listened=listened)


def _nothing(day: str, feed: str, now_ns: int, heard_ns: int) -> Figures:
    """A day of which there is nothing; until `heard_ns` a session of a day before it was open, without a message."""
    begin = day_begins(day)
    known_ns = min(max(now_ns - begin, 0), DAY_NS)
    out_ns = known_ns - min(max(heard_ns - begin, 0), known_ns)
    if not out_ns:
        return Figures(day, feed, known_ns=known_ns, coverage=100.0 if known_ns else 0.0)
    outage = TimeGap(timestamp(begin + known_ns - out_ns), timestamp(begin + known_ns), out_ns / 1e9, "no data")
    return Figures(day, feed, outages=[outage], known_ns=known_ns, coverage=100 * (1 - out_ns / known_ns))


def figures_of(manifest: Manifest, now_ns: int, *, stored_bytes: int, sealed: bool, listened: bool = False) -> Figures:
    """What a manifest says, as of now. `listened`: the last session, whose end nobody wrote down, goes on."""
    begin, end = day_begins(manifest.day), day_begins(manifest.day) + DAY_NS
    gaps, until = list(manifest.gaps), min(max(now_ns, begin), end)  # The rest of today is no outage.
    if listened and manifest.sessions and manifest.sessions[-1].cause == KILLED:
        heard = manifest.sessions[-1].ended
        gaps = [gap for gap in gaps if gap.from_ != heard]
        if now_ns < end:  # Nobody knows more than its last line tells.
            until = parse_timestamp(heard)
    gaps = [_until(gap, until) for gap in gaps if parse_timestamp(gap.from_) < until]
    out_ns = sum(parse_timestamp(gap.to) - parse_timestamp(gap.from_) for gap in gaps)
    coverage = 100 * (1 - out_ns / (until - begin)) if until > begin else 0.0
    # An empty ledger beside data is none; beside none it is of a collector that ended as it began the day.
    known = bool(manifest.ledger_entries or (manifest.ledger_sha256 and not manifest.lines))
    return Figures(
        day=manifest.day,
        feed=manifest.feed,
        messages=manifest.lines,
        bytes=manifest.bytes,
        stored_bytes=stored_bytes,
        by_hour=manifest.messages_by_hour,
        by_type=manifest.messages_by_type,
        not_json=manifest.not_json,
        sequence_gaps=manifest.sequence_gaps,
        missing=manifest.missing,
        outages=gaps if known else (),
        known_ns=until - begin,
        coverage=coverage if known else None,
        sealed=sealed,
    )


def _until(gap: TimeGap, until_ns: int) -> TimeGap:
    if parse_timestamp(gap.to) <= until_ns:
        return gap
    return TimeGap(gap.from_, timestamp(until_ns), round((until_ns - parse_timestamp(gap.from_)) / 1e9, 6), gap.cause)


def _read(
    folder: Path,
    day: str,
    feed: str,
    file: DayFile | None,
    now_ns: int,
    progress: Callable[[DayFile], None],
    *,
    listened: bool,
) -> Figures:
    try:
        stored = in_any_form(file.path, Path.stat).st_size if file is not None else 0
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    path = manifest_path(folder, feed)
    manifest = read_manifest(path)
    if manifest is not None and (manifest.day, manifest.feed) != (day, feed):
        raise DataError(f"{path}: is of {manifest.feed} on {manifest.day}")
    if manifest is not None:
        return figures_of(manifest, now_ns, stored_bytes=stored, sealed=True)
    if file is None:  # Its manifest was there a moment ago.
        raise DataError(f"{path}: is gone")
    progress(file)
    return figures_of(examine(file).manifest, now_ns, stored_bytes=stored, sealed=False, listened=listened)


def _earlier(day: str, days: int) -> str:
    try:
        return (date.fromisoformat(day) - timedelta(days)).isoformat() if day else ""
    except OverflowError:
        return ""


def _days(first: str, last: str) -> Iterator[str]:
    if first and last:
        for number in range(date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal() + 1):
            yield date.fromordinal(number).isoformat()
