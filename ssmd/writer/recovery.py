"""What the runs before have left on the disk: torn files of older days, and since when nobody has listened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ssmd.archive.layout import day_folders, ledger_path, manifest_path
from ssmd.archive.ledger import OF_A_LINE, ROTATED
from ssmd.archive.manifest import decode_manifest
from ssmd.archive.sessions import KILLED, UNKNOWN, sessions
from ssmd.envelope import line_time, timestamp
from ssmd.writer.disk import locked
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
        # A file that is gone was compacted since the folder was looked into, and so had been whole. Who holds it is
        # most likely sealing it, and repairs it then; to wait for the end of that would cost messages. NFS locks only
        # what is open for writing.
        with contextlib.suppress(FileNotFoundError), open(file, "r+b") as opened:
            if locked(opened.fileno(), file):
                repaired += repair(file, feed, now_ns)
    return repaired


def repair(file: Path, feed: str, now_ns: int) -> list[Repaired]:
    """Repair a data file that nobody else writes, and its ledger. Raises OSError, OutputError and WriteError."""
    torn = set_torn_tail_aside(file)
    beside = ledger_path(file.parent, feed)
    if not beside.exists():  # One that is begun now would hide that it is lost, and tell of a day without anybody.
        return [Repaired(file, torn)]
    ledger = Ledger(feed)
    try:
        ledger_torn = ledger.open_day(file, torn, now_ns)
        ledger.write()
    finally:
        ledger.close()
    return [Repaired(file, torn, ledger.lost), Repaired(beside, ledger_torn)]


def outage(root: Path, feed: str, now_ns: int) -> Mapping[str, object] | None:
    """The fields of the ledger's `outage`, None when this feed was never listened to before. Raises OSError."""
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
    received = _last_received(folder / f"{feed}.jsonl")
    entries = read_entries(ledger_path(folder, feed))
    if received is None:
        last_ns = _last_sealed(folder, feed)
    else:
        last_ns = received.ns
        # The line that they are about never came.
        entries = [entry for entry in entries if entry.event not in OF_A_LINE or entry.offset < received.whole]
    found = sessions(entries)
    if not found:
        return None if last_ns is None else (last_ns, UNKNOWN)
    session = found[-1]
    if session.ended is None:
        return max(session.seen_ns, last_ns or 0), KILLED
    # It was to go on in another day's file, which has nothing of it.
    return session.ended.ts_ns, KILLED if session.cause == ROTATED else session.cause


def _last_sealed(folder: Path, feed: str) -> int | None:
    """When the last line of a day was received that was compacted since, in ns, from its manifest."""
    try:
        last = decode_manifest(manifest_path(folder, feed).read_bytes()).last
    except (OSError, ValueError):
        return None
    return None if last is None else line_time(last)


class _Received(NamedTuple):
    ns: int
    """The time of the last whole line."""
    whole: int
    """Its end, in bytes from the beginning of the file."""


def _last_received(path: Path) -> _Received | None:
    """None when there is no file or no line. What is torn may still lie behind the last one."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            length = _TAIL
            while True:
                start = max(0, size - length)
                *lines, torn = os.pread(file.fileno(), size - start, start).split(b"\n")
                if len(lines) > 1 or not start:
                    break
                length *= 16
    except FileNotFoundError:
        return None
    try:
        time = lines[-1][len('{"ts":"') :][: len("2025-12-22T10:30:00.123456Z")]
        return _Received(line_time(time.decode("ascii")), size - len(torn))
    except (IndexError, ValueError):
        return None
