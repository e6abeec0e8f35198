"""What earlier runs left on the disk: torn files of older days, and since when no connection has been open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import DataError
from ssmd.store.closed_hours import closed_until
from ssmd.store.inventory import day_folders
from ssmd.store.last_line import last_received
from ssmd.store.layout import data_path, ledger_path, manifest_path
from ssmd.store.ledger import CLOSED, OF_A_LINE, OUTAGE, ROTATED, Entry
from ssmd.store.ledger_file import read_ledger
from ssmd.store.locks import try_lock
from ssmd.store.manifest_file import read_manifest
from ssmd.store.repair import Repaired, repair
from ssmd.store.sessions import KILLED, NOT_STARTED, UNKNOWN, sessions
from ssmd.store.timestamps import day_of_ns, parse_timestamp, timestamp

__all__ = ["before_start", "repair_older"]


def repair_older(root: Path, stem: str, today: Path, now_ns: int) -> list[Repaired]:
    """Repair what the last run left in a file of another day than today's; `today`: the path of today's file.

    That is the newest file. When the clock was ahead once, and there is a file of a day to come, it is also the newest
    one before today. Today's own file is repaired when it is opened. Raises OSError, DataError, OutputError and
    WriteError.
    """
    files = sorted(root.glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/{stem}.jsonl"))
    until_today = [file for file in files if file <= today]
    repaired: list[Repaired] = []
    for file in {*files[-1:], *until_today[-1:]} - {today}:
        # A file that is gone was compacted meanwhile, and so had been whole. A process that holds it is most likely
        # sealing it, and repairs it then; waiting for that would cost messages. NFS locks only files that are open
        # for writing.
        with contextlib.suppress(FileNotFoundError), open(file, "r+b") as opened:
            if try_lock(opened.fileno(), file):
                repaired += repair(file, stem, now_ns)
    return repaired


def before_start(root: Path, stem: str, now_ns: int) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the entries of the ledger, each with its fields, about the time since the last connection: `outage`, or
    `closed` after a run that ended at the closing of its schedule. None when these files were never written before.

    Raises OSError and DataError.
    """
    end = next(filter(None, (_end(folder, stem) for folder in _until(root, now_ns))), None)
    if end is None:
        return
    since_ns, cause = end.ns, end.cause
    if end.closed_until_ns is not None:
        since_ns, cause = min(now_ns, end.closed_until_ns), NOT_STARTED
        yield CLOSED, {"by": "schedule", "from": timestamp(end.ns), "until": timestamp(since_ns)}
    if end.closed_until_ns is None or now_ns > since_ns:
        seconds = round(max(0, now_ns - since_ns) / 1e9, 6)
        yield OUTAGE, {"from": timestamp(since_ns), "to": timestamp(now_ns), "seconds": seconds, "cause": cause}


def _until(root: Path, now_ns: int) -> Iterator[Path]:
    """Yield the folders of days up to today, newest first: the clock may have been ahead once."""
    return (folder for folder in reversed(day_folders(root)) if folder.name <= day_of_ns(now_ns))


class _End(NamedTuple):
    """The end of the last connection of a day."""

    ns: int
    cause: str
    closed_until_ns: int | None = None
    """Until when the schedule is closed after it; None unless the run ended at its closing."""


def _end(folder: Path, stem: str) -> _End | None:
    """Return how the last connection of a day ended, None when the day had none."""
    received = last_received(data_path(folder, stem))
    ledger = read_ledger(ledger_path(folder, stem), whole=False)
    entries: list[Entry] = [] if ledger is None else list(ledger.entries)
    if received is None:
        last_ns = _last_sealed(folder, stem)
    else:
        last_ns = received.ns
        # The lines that the other entries are about never came.
        entries = [entry for entry in entries if entry.event not in OF_A_LINE or entry.offset < received.whole]
    if (until_ns := closed_until(entries)) is not None:
        return _End(entries[-1].ts_ns, NOT_STARTED, until_ns)
    found = sessions(entries)
    if not found:
        return None if last_ns is None else _End(last_ns, UNKNOWN)
    session = found[-1]
    if session.ended is None:
        return _End(max(session.seen_ns, last_ns or 0), KILLED)
    # It was to go on in another day's file, which has nothing of it.
    return _End(session.ended.ts_ns, KILLED if session.cause == ROTATED else session.cause)


def _last_sealed(folder: Path, stem: str) -> int | None:
    """Return when the last line of a day that was compacted was received, in ns, from its manifest."""
    try:
        manifest = read_manifest(manifest_path(folder, stem))
    except DataError:
        return None
    return None if manifest is None or manifest.last is None else parse_timestamp(manifest.last)
