"""The figures of each day and feed: from its manifest where it is sealed, else counted by reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from ssmd.archive.coverage import DAY_NS, day_begins
from ssmd.archive.examine import examine
from ssmd.archive.layout import (
    DayFile,
    data_files,
    day_folders,
    day_of,
    in_any_form,
    looking,
    manifest_path,
    own_manifests,
)
from ssmd.archive.listening import heard_until, is_open
from ssmd.archive.manifest import Manifest, TimeGap, decode_manifest
from ssmd.archive.sessions import KILLED
from ssmd.envelope import line_time, timestamp
from ssmd.errors import DataError, UsageError

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
    """The figures of the last `days` days, by feed and then by day.

    `storage`: a storage folder, or the folder of one day. Days after today are left out.

    The last of them is today, so that an outage that still lasts is there. But an archive whose newest day with data
    is none of the last `days`, or of the last SINCE_DAYS, is taken for one that is over: then the last is that day,
    and `ended` is told of it.

    A day without data between the first of a feed and the last of all is there too. A day that cannot be read is
    left out, and `trouble` is told; `progress` is told of each file that has to be read. Raises UsageError for what
    is no storage folder.
    """
    with looking(storage):
        if not storage.is_dir():
            raise UsageError(f"{storage}: there is no such folder")
    files = {(file.day, file.feed): file for file in data_files([storage]) if file.day}
    only = day_of(storage.resolve())
    folders = {only: storage} if only else {path.name: path for path in day_folders(storage)}
    known = set(files) | {(day, feed) for day, folder in folders.items() for feed in own_manifests(folder)}
    today = timestamp(now_ns)[:10]
    newest = {feed: day for day, feed in sorted(known) if day <= today}  # A clock may have been ahead once.
    listening = {(day, feed) for feed, day in newest.items() if is_open(folders[day], feed)}
    last = max(newest.values(), default="")
    if last and last < today and not only:
        if listening or last > _earlier(today, min(days, SINCE_DAYS)):
            last = today
        else:
            ended(last)
    found = []
    for feed in sorted({feed for _, feed in known}):
        oldest = min(day for day, name in known if name == feed)
        before = max((day for day, name in known if name == feed and day < _earlier(last, days - 1)), default="")
        heard_ns: int | None = None
        for day in _days(max(oldest, _earlier(last, days - 1)), last):
            if (day, feed) not in known:
                if heard_ns is None:
                    heard_ns = now_ns if (before, feed) in listening else heard_until(folders[before], feed)
                found.append(_nothing(day, feed, now_ns, heard_ns))
                continue
            before, heard_ns = day, None
            file, listened = files.get((day, feed)), (day, feed) in listening
            try:
                found.append(_read(folders[day], day, feed, file, now_ns, progress, listened=listened))
            except DataError as error:
                trouble(error)
    return found


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
            until = line_time(heard)
    gaps = [_until(gap, until) for gap in gaps if line_time(gap.from_) < until]
    out_ns = sum(line_time(gap.to) - line_time(gap.from_) for gap in gaps)
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
    if line_time(gap.to) <= until_ns:
        return gap
    return TimeGap(gap.from_, timestamp(until_ns), round((until_ns - line_time(gap.from_)) / 1e9, 6), gap.cause)


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
        path = manifest_path(folder, feed)
        manifest = decode_manifest(path.read_bytes()) if path.exists() else None
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
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
