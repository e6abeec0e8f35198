"""Which files should be there and are not: by the ledgers and manifests beside them, and the ledgers of other days."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import DataError
from ssmd.proof.verdict import Days, Feed, Verdict, by_feed, place_of
from ssmd.store.inventory import day_folders, own_ledgers, own_manifests
from ssmd.store.layout import FORMS, LEDGER, day_of, ledger_path
from ssmd.store.ledger import CONNECTED, CONTINUED, OUTAGE, ROTATED, Entry, time_in
from ssmd.store.ledger_file import read_ledger
from ssmd.store.sessions import KILLED, sessions
from ssmd.store.timestamps import parse_timestamp, timestamp

__all__ = ["data_path", "is_here", "missing_files", "never_written", "only_begun"]


def missing_files(paths: Iterable[Path], verdicts: Iterable[Verdict]) -> list[str]:
    """The files that should be there and are not: a ledger's or a manifest's data, the days that a ledger tells of.

    A day is looked for among the folders of the same storage, and only from the oldest of the feed on: older ones
    may have been put away.
    """
    feeds = by_feed(verdicts)
    told = [
        f"{beside.data}: is missing; {beside.path.name} tells of it"
        for beside in _without_data(paths, feeds)
        if not beside.only_begun
    ]
    for feed, days in feeds.items():
        lost = list(_lost(feed, days))
        told += [f"{data_path(feed, day)}: is missing; the ledger of {teller} tells of it" for day, teller in lost]
        told += _between(feed, days, [day for day, _ in lost])
    return list(dict.fromkeys(told))


def only_begun(paths: Iterable[Path], feeds: Mapping[Feed, Days]) -> Iterator[Path]:
    """Ledgers that are empty, and have no data beside them: a collector was killed between making one and the other."""
    return (beside.path for beside in _without_data(paths, feeds) if beside.only_begun)


class _Beside(NamedTuple):
    """What lies beside data that is not here."""

    path: Path
    """The ledger or the manifest."""
    data: Path
    only_begun: bool
    """It is a ledger that tells of nothing."""


def _without_data(paths: Iterable[Path], feeds: Mapping[Feed, Days]) -> Iterator[_Beside]:
    for path in paths:
        if not path.is_dir():
            continue
        for folder in [path] if day_of(path.resolve()) else day_folders(path):
            storage, day = place_of(folder)
            for feed, beside in {**own_ledgers(folder), **own_manifests(folder)}.items():
                # A collector that begins the day just now makes the data before it writes into the ledger: so what is
                # in that is asked first.
                found = _Beside(beside, folder / f"{feed}.jsonl", _is_empty_ledger(beside))
                if day not in feeds.get((storage, feed), {}) and not is_here((folder.parent, feed), folder.name):
                    yield found


def _is_empty_ledger(path: Path) -> bool:
    """Also one that is not there any more: old days may be put away at any time.

    Not a link that cannot be followed, as to a disk that is not mounted: what it holds is not known.
    """
    try:
        return path.name.endswith(LEDGER) and path.stat().st_size == 0
    except OSError:
        return not os.path.lexists(path)


def _lost(feed: Feed, days: Days) -> Iterator[tuple[str, str]]:
    """Days that the ledger of another day tells of and that are not here, each with that other day."""
    oldest = next(iter(days))
    for teller, verdict in days.items():
        gone = {day for day in _days_of(verdict.entries) if day > oldest and not is_here(feed, day)}
        if gone:
            gone -= set(never_written(feed, days, teller))
        yield from ((day, teller) for day in sorted(gone))


def never_written(feed: Feed, days: Days, day: str) -> Iterator[str]:
    """Days that are not here, that a collector was to go on to from `day`, and did not, as the next start tells.

    The disk was full at midnight, or it was killed there: the outage counts from the very entry `rotated`.
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
    """The days of a storage, of whatever feed, oldest first."""
    return [folder.name for folder in day_folders(feed[0])]


def _entries(feed: Feed, days: Days, day: str) -> Iterable[Entry]:
    """The ledger of a day; of one that was not looked at, as far as it can be read."""
    if day in days:
        return days[day].entries
    try:
        ledger = read_ledger(ledger_path(feed[0] / day, feed[1]))
    except DataError:
        return []
    return ledger.entries if ledger is not None else []


def _between(feed: Feed, days: Days, lost: Iterable[str]) -> Iterator[str]:
    """Outages that count from a later time than all that is here was recorded at.

    The start that has written one has looked for the end of the last connection on the days that were there then.
    """
    newest = ""
    until_ns = 0
    for day, verdict in days.items():
        outage = next((entry for entry in _opening(verdict.entries) if entry.event == OUTAGE), None)
        since_ns = time_in(outage, "from") if outage is not None else 0
        if newest and since_ns > until_ns and not _is_explained(feed, newest, day, days, lost):
            yield (
                f"{data_path(feed, day)}: begins after an outage from {timestamp(since_ns)}, and what is here of the "
                f"days before ends at {timestamp(until_ns)}, on {newest}: what was recorded between is missing"
            )
        if (end_ns := _end(verdict)) is None:
            newest = ""  # Nobody can tell when it ended, and other findings say why.
        elif end_ns:
            newest, until_ns = day, max(until_ns, end_ns)


def _end(verdict: Verdict) -> int | None:
    """When the last connection of a day, or any before it, ended, in ns; 0 for a day without any; None for unknown.

    Not only the last: when the clock went back since, a run may have gone on in a file that had later times already.
    """
    found = verdict.examination
    if found is None or found.ledger is None or found.unread is not None:
        return None
    told = [session.seen_ns for session in sessions(found.ledger.entries)]
    times = [found.manifest.last, *(session.ended for session in found.manifest.sessions)]
    return max([0, *told, *(parse_timestamp(time) for time in times if time is not None)])


def _is_explained(feed: Feed, newest: str, day: str, days: Days, lost: Iterable[str]) -> bool:
    """Whether between the two there is a day that was not looked at, or one that is told of as missing."""
    others = [other for other in _names(feed) if newest < other < day and other not in days]
    return any(is_here(feed, other) or _has_ledger(feed, other) for other in others) or any(
        newest < other < day for other in lost
    )


def _opening(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries up to the first connection, with it when it came over midnight."""
    for entry in entries:
        if entry.event == CONNECTED or entry.line:
            return
        yield entry
        if entry.event == CONTINUED:
            return


def data_path(feed: Feed, day: str) -> Path:
    """Where a day's data is, or would be, without compression."""
    storage, name = feed
    return storage / day / f"{name}.jsonl"


def is_here(feed: Feed, day: str) -> bool:
    """Whether there is data of that day, in any form."""
    return any(data_path(feed, day).with_name(f"{feed[1]}.{form}").exists() for form in FORMS)


def _has_ledger(feed: Feed, day: str) -> bool:
    """Whether there is one that tells of anything."""
    return not _is_empty_ledger(ledger_path(feed[0] / day, feed[1]))


def _days_of(entries: Iterable[Entry]) -> Iterator[str]:
    """The other days that a ledger says have data."""
    for entry in entries:
        # An outage proves nothing: it may begin on a day on which somebody listened and no message came.
        value = {CONTINUED: entry.fields.get("from"), ROTATED: entry.fields.get("to")}.get(entry.event)
        if isinstance(value, str):
            yield value
