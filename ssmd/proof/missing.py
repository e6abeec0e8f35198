"""Finds missing data files: a ledger or a manifest is beside them, or the ledger of another day mentions them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.proof.verdict import Days, Feed, Verdict, by_feed, storage_and_day
from ssmd.store.file_kinds import LEDGER
from ssmd.store.inventory import day_folders, own_ledgers, own_manifests
from ssmd.store.layout import data_path, day_of, forms_of, ledger_path, pruned_path
from ssmd.store.ledger import CLOSED, CONNECTED, CONTINUED, OUTAGE, ROTATED, Entry, time_in
from ssmd.store.ledger_file import readable_entries
from ssmd.store.sessions import KILLED, sessions
from ssmd.store.timestamps import parse_timestamp, timestamp
from ssmd.store.unfinished import is_unfinished_import

__all__ = ["data_of", "is_here", "missing_files", "never_finished", "never_written"]


def missing_files(paths: Iterable[Path], verdicts: Iterable[Verdict]) -> list[str]:
    """Return a sentence for each data file that should be there and is not, beginning with its path.

    `paths`: the files and folders that were verified. A day is looked for in the same storage folder, and only after
    the oldest day of the feed: older ones may have been moved away.
    """
    feeds = by_feed(verdicts)
    found = [
        f"{beside.data}: is missing; {beside.path.name} describes it"
        for beside in _without_data(paths, feeds)
        if not (beside.only_begun or beside.unfinished)
    ]
    for feed, days in feeds.items():
        lost = list(_lost(feed, days))
        found += [f"{data_of(feed, day)}: is missing; the ledger of {other} mentions it" for day, other in lost]
        found += _lost_between(feed, days, [day for day, _ in lost])
    return list(dict.fromkeys(found))


def never_finished(paths: Iterable[Path], feeds: Mapping[Feed, Days]) -> Iterator[str]:
    """Yield a sentence for each day that has no data because a kill came first, beginning with a path."""
    for beside in _without_data(paths, feeds):
        if beside.only_begun:
            yield f"{beside.path}: is empty, and there is no data: a collector ended as it began the day"
        elif beside.unfinished:
            yield f"{beside.data}: is not here yet: its import was killed; the same `ssmd import` finishes it"


class _Beside(NamedTuple):
    """A file of a day that has no data."""

    path: Path
    """The ledger or the manifest."""
    data: Path
    """Where the data should be."""
    only_begun: bool
    """It is a ledger without any entry."""
    unfinished: bool
    """It is the ledger of an import, whose data still has its temporary name."""


def _without_data(paths: Iterable[Path], feeds: Mapping[Feed, Days]) -> Iterator[_Beside]:
    for path in paths:
        if not path.is_dir():
            continue
        for folder in [path] if day_of(path.resolve()) else day_folders(path):
            storage, day = storage_and_day(folder)
            for feed, beside in {**own_ledgers(folder), **own_manifests(folder)}.items():
                # A collector that begins the day at this moment makes the data before it writes to the ledger. So the
                # ledger is looked at before the data.
                unfinished = is_unfinished_import(folder, feed)
                found = _Beside(beside, data_path(folder, feed), _is_empty_ledger(beside), unfinished)
                if day not in feeds.get((storage, feed), {}) and not is_here((folder.parent, feed), folder.name):
                    yield found


def _is_empty_ledger(path: Path) -> bool:
    """Return whether this is a ledger without entries, or is gone: old days may be moved away at any time.

    A link that cannot be followed, as to a disk that is not mounted, is neither: what it leads to is not known.
    """
    try:
        return path.name.endswith(LEDGER) and path.stat().st_size == 0
    except OSError:
        return not os.path.lexists(path)


def _lost(feed: Feed, days: Days) -> Iterator[tuple[str, str]]:
    """Yield the days that the ledger of another day mentions and that are not here, each with that other day."""
    oldest = next(iter(days))
    for other, verdict in days.items():
        gone = {day for day in _days_in(verdict.entries) if day > oldest and not is_here(feed, day)}
        if gone:
            gone -= set(never_written(feed, days, other))
        yield from ((day, other) for day in sorted(gone))


def never_written(feed: Feed, days: Days, day: str) -> Iterator[str]:
    """Yield the days that are not here, in which `day` should continue, but to which nothing was written.

    The disk was full at midnight, or the collector was killed there. The ledger of the next start shows it: its outage
    begins at the entry `rotated` of `day`.
    """
    entries = days[day].entries
    for place, entry in enumerate(entries):
        if entry.event == ROTATED and not is_here(feed, to := str(entry.fields.get("to"))):
            later = (_opening(_entries(feed, days, name)) for name in _names(feed) if name > day)
            following = itertools.chain(entries[place + 1 :], itertools.chain.from_iterable(later))
            start = next((other for other in following if other.event in (OUTAGE, CONTINUED)), entry)
            if (start.fields.get("from"), start.fields.get("cause")) == (timestamp(entry.ts_ns), KILLED):
                yield to


def _names(feed: Feed) -> list[str]:
    """Return the days of the storage folder, of any feed, oldest first."""
    return [folder.name for folder in day_folders(feed[0])]


def _entries(feed: Feed, days: Days, day: str) -> Iterable[Entry]:
    """Return the entries of a day's ledger, which is read if the day was not verified."""
    return days[day].entries if day in days else readable_entries(ledger_path(feed[0] / day, feed[1]))


def _lost_between(feed: Feed, days: Days, lost: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each outage, or time closed by schedule, that begins later than the end of all data here of
    the days before it.

    When a start writes it, it takes the end of the last connection from the days that are there at that time.
    """
    newest = ""
    until_ns = 0
    for day, verdict in days.items():
        first = next((entry for entry in _opening(verdict.entries) if entry.event in (OUTAGE, CLOSED)), None)
        since_ns = time_in(first, "from") if first is not None else 0
        if newest and since_ns > until_ns and not _is_explained(feed, newest, day, days, lost):
            what = "an outage" if first is not None and first.event == OUTAGE else "closed hours"
            yield (
                f"{data_of(feed, day)}: begins after {what} from {timestamp(since_ns)}, but what is here of the "
                f"days before ends at {timestamp(until_ns)}, on {newest}: what was recorded in between is missing"
            )
        if (end_ns := _end(verdict)) is None:
            newest = ""  # It is not known when this day ended. Other findings say why.
        elif end_ns:
            newest, until_ns = day, max(until_ns, end_ns)


def _end(verdict: Verdict) -> int | None:
    """Return the latest end of all connections of a day, in ns; 0 for a day without any; None when it is not known.

    That need not be the last connection: after the clock went back, it was added to a file with later times.
    """
    found = verdict.examination
    if found is None or found.ledger is None or found.unread is not None:
        return None
    seen = [session.seen_ns for session in sessions(found.ledger.entries)]
    seen += [entry.ts_ns for entry in found.ledger.entries if entry.event == CLOSED]
    times = [found.manifest.last, *(session.ended for session in found.manifest.sessions)]
    return max([0, *seen, *(parse_timestamp(time) for time in times if time is not None)])


def _is_explained(feed: Feed, newest: str, day: str, days: Days, lost: Iterable[str]) -> bool:
    """Return whether a day between the two is here but was not verified, or is reported as missing anyway."""
    others = [other for other in _names(feed) if newest < other < day and other not in days]
    return any(is_here(feed, other) or _has_ledger(feed, other) for other in others) or any(
        newest < other < day for other in lost
    )


def _opening(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries before the first connection of a day, and the one of a connection that came over midnight."""
    for entry in entries:
        if entry.event == CONNECTED or entry.line:
            return
        yield entry
        if entry.event == CONTINUED:
            return


def data_of(feed: Feed, day: str) -> Path:
    """Return the path of a day's uncompressed data, which need not be there."""
    storage, name = feed
    return data_path(storage / day, name)


def is_here(feed: Feed, day: str) -> bool:
    """Return whether there is data of that day, in any form, or was until `ssmd prune` has removed it."""
    storage, name = feed
    return any(path.exists() for path in (*forms_of(storage / day, name), pruned_path(storage / day, name)))


def _has_ledger(feed: Feed, day: str) -> bool:
    """Return whether a day has a ledger with entries."""
    return not _is_empty_ledger(ledger_path(feed[0] / day, feed[1]))


def _days_in(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the other days that a ledger says have data."""
    for entry in entries:
        # An outage proves nothing: it may begin on a day on which a connection was open and no message came.
        value = {CONTINUED: entry.fields.get("from"), ROTATED: entry.fields.get("to")}.get(entry.event)
        if isinstance(value, str):
            yield value
