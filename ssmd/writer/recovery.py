"""What the runs before have left on the disk: torn files of older days, and since when nobody has listened."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.archive.layout import day_folders, ledger_path, manifest_path
from ssmd.archive.ledger import ROTATED
from ssmd.archive.manifest import decode_manifest
from ssmd.archive.sessions import KILLED, UNKNOWN, sessions
from ssmd.envelope import line_time, timestamp
from ssmd.writer.ledger import Ledger, read_entries
from ssmd.writer.torn import set_torn_tail_aside

__all__ = ["Repaired", "outage", "repair", "repair_older"]

_TAIL = 64 * 1024


class Repaired(NamedTuple):
    """What was wrong with a data file, or a ledger, that was opened again."""

    file: Path
    torn: int = 0
    """Bytes that were set aside."""
    lost: Mapping[str, int] = {}
    """What its ledger has counted and was not there: `lines` and `bytes`; empty when all was."""


def repair_older(root: Path, feed: str, today: Path, now_ns: int) -> list[Repaired]:
    """Set aside what is torn of what the last run has left, and note what is gone of it.

    That is the newest file or, when the clock was ahead once and has left a file of days to come, the newest up
    to today. The file of today itself is repaired when it is opened. Raises OSError, OutputError and WriteError.
    """
    files = sorted(root.glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/{feed}.jsonl"))
    until_today = [file for file in files if file <= today]
    repaired: list[Repaired] = []
    for file in {*files[-1:], *until_today[-1:]} - {today}:
        # A file that is gone was compacted since the folder was looked into, and so had been whole. Who holds it
        # seals it, and repairs it before; to wait for the end of that would cost messages.
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(file, "rb") as locked:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            repaired += repair(file, feed, now_ns)
    return repaired


def repair(file: Path, feed: str, now_ns: int) -> list[Repaired]:
    """Repair a data file that nobody else writes, and its ledger. Raises OSError, OutputError and WriteError."""
    torn = set_torn_tail_aside(file)
    beside = ledger_path(file.parent, feed)
    if not torn and not beside.exists():
        return []
    ledger = Ledger(feed)
    try:
        ledger_torn = ledger.open_day(file, torn, now_ns)
        ledger.write()
    finally:
        ledger.close()
    return [Repaired(file, torn, ledger.lost), Repaired(beside, ledger_torn)]


def outage(root: Path, feed: str, now_ns: int) -> Mapping[str, object] | None:
    """The fields of the ledger's `outage`, None when this feed was never listened to before.

    The files of the last run must be repaired. Raises OSError.
    """
    for folder in reversed(day_folders(root)):
        if folder.name > timestamp(now_ns)[:10]:
            continue  # The clock was ahead once.
        end = _end(folder, feed)
        if end is not None:
            until_ns, cause = end
            return {
                "from": timestamp(until_ns),
                "to": timestamp(now_ns),
                "seconds": round(max(0, now_ns - until_ns) / 1e9, 6),
                "cause": cause,
            }
    return None


def _end(folder: Path, feed: str) -> tuple[int, str] | None:
    """When the last connection of a day ended, in ns, and why; None when the day had none."""
    found = sessions(read_entries(ledger_path(folder, feed)))
    last_ns = _last_received(folder / f"{feed}.jsonl") or _last_sealed(folder, feed)
    if not found:
        return None if last_ns is None else (last_ns, UNKNOWN)
    session = found[-1]
    if session.ended is None:
        return max(session.seen_ns, last_ns or 0), KILLED
    # It was to go on in another day's file, which has nothing of it.
    return session.ended.ts_ns, KILLED if session.cause == ROTATED else session.cause


def _last_sealed(folder: Path, feed: str) -> int | None:
    """The same of a day that was compacted since, from its manifest."""
    try:
        last = decode_manifest(manifest_path(folder, feed).read_bytes()).last
    except (OSError, ValueError):
        return None
    return None if last is None else line_time(last)


def _last_received(path: Path) -> int | None:
    """The time of the last line of a data file, in ns; None when there is no file or no line."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            length = _TAIL
            while True:
                start = max(0, size - length)
                tail = os.pread(file.fileno(), size - start, start)
                lines = tail.rstrip(b"\n").rsplit(b"\n", 1)
                if len(lines) == 2 or not start:
                    break
                length *= 16
    except FileNotFoundError:
        return None
    try:
        return line_time(lines[-1][len('{"ts":"') :][: len("2025-12-22T10:30:00.123456Z")].decode("ascii"))
    except ValueError:
        return None
