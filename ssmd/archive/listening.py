"""Until when a feed was listened to, as far as the last day with data tells: the days since have no file that does."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ssmd.archive.layout import ledger_path, manifest_path
from ssmd.archive.ledger_file import read_ledger
from ssmd.archive.sessions import Session, sessions
from ssmd.errors import DataError

__all__ = ["heard_until", "is_open"]


def heard_until(folder: Path, feed: str) -> int:
    """When the last session of a day's folder ended, in ns, as far as its ledger tells; 0 when it does not.

    One that was rotated has lasted until then too: the message that made it go on came over the same connection.
    """
    last = _last_session(folder, feed)
    return last.ended.ts_ns if last is not None and last.ended is not None else 0


def is_open(folder: Path, feed: str) -> bool:
    """Whether the last session of a day's folder goes on: its ledger tells of no end, and a collector is at work.

    What was killed has left no end either, but holds no lock. What was started again holds it, but has written so.
    """
    data = folder / f"{feed}.jsonl"
    if manifest_path(folder, feed).exists() or not _is_locked(data):
        return False
    last = _last_session(folder, feed)
    return last is not None and last.ended is None and last.next is None


def _last_session(folder: Path, feed: str) -> Session | None:
    try:
        ledger = read_ledger(ledger_path(folder, feed))
    except DataError:
        return None
    found = sessions(ledger.entries.outline()) if ledger is not None else []
    return found[-1] if found else None


def _is_locked(data: Path) -> bool:
    """Whether somebody holds the lock of a data file: its collector or, for a while, `ssmd seal` at work on it.

    Nothing but trying tells, for /proc/locks leaves out what another container holds. So a lock that could be had is
    given back at once, and it is the data file's: when a collector starts at that very moment it waits for that, as
    it does for `ssmd seal` (ssmd/writer/day.py). The lock in the storage folder, where none waits, is not tried.
    """
    try:
        fd = os.open(data, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:  # Where there are no locks at all there is no collector that holds one.
        return isinstance(error, BlockingIOError)
    finally:
        os.close(fd)
    return False
