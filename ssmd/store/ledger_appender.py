"""Appends to the ledger beside a data file: knows the place at which the next entry belongs, and writes durably."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ssmd.store.durable import require_whole, sync_file, write_all
from ssmd.store.layout import ledger_path
from ssmd.store.ledger import LOST, TORN, Entry, decode_entry, encode_entry
from ssmd.store.ledger_file import read_ledger
from ssmd.store.packed_entries import lost_behind
from ssmd.store.torn import set_torn_tail_aside

__all__ = ["LedgerAppender"]

_CHUNK = 1024 * 1024


class LedgerAppender:
    """Holds the ledger that is open, and its entries that are not written yet. All methods but add() use the disk."""

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._fd = -1
        self._location = ""
        self._unsynced = False
        self._size = 0
        self.offset = 0
        """The size of the data file in bytes, with what waits to be written."""
        self.line = 0
        """The number of its lines."""
        self.pending: list[bytes] = []
        """The lines of entries that wait for write(), which must come before what follows them in the data."""
        self.starts = 0
        """How many runs had begun to write the day at open_day()."""
        self.lost: Mapping[str, int] = {}
        """What an earlier run has counted and was not there at open_day(): its `lines` and `bytes`."""

    def open_day(self, data: Path, torn: int, now_ns: int) -> int:
        """Begin or continue the ledger beside `data`, which is repaired; `torn`: bytes that were set aside of it.

        Returns how many bytes of the ledger itself were set aside. Raises OSError, DataError, OutputError, WriteError.
        """
        path = ledger_path(data.parent, self._stem)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._location = str(path)
        aside = set_torn_tail_aside(path, decode_entry)
        os.fsync(self._fd)
        self._size = os.fstat(self._fd).st_size
        self.offset = data.stat().st_size
        found = read_ledger(path, whole=False)
        entries = list(found.entries) if found is not None else []
        self.starts = len(found.starts) if found is not None else 0
        known = [entry for entry in entries[-1:] if entry.offset <= self.offset]
        self.line = _count_lines(data, *((known[0].offset, known[0].line) if known else (0, 0)))
        if torn:
            self.add(TORN, now_ns, {"bytes": torn})
        end = lost_behind(entries, self.offset)
        self.lost = {"lines": end.line - self.line, "bytes": end.offset - self.offset} if end is not None else {}
        if self.lost:
            self.add(LOST, now_ns, self.lost)
        return aside

    def add(self, event: str, ts_ns: int, fields: Mapping[str, object]) -> None:
        """Add an entry at the present place."""
        self.pending.append(encode_entry(Entry(ts_ns, event, self.offset, self.line, fields)))

    def write(self) -> None:
        """Write the entries that wait. Raises WriteError."""
        lines, self.pending = self.pending, []
        self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        write_all(self._fd, lines, self._location)
        self._size += sum(map(len, lines))
        self._unsynced = True

    def sync_with(self, fd: int, path: str, size: int) -> int:
        """Make the ledger durable, then the data file, by sync_file(); return what that returns. Raises WriteError.

        Ledger first: after a power failure there may be entries without lines, which are harmless, but never lines
        without their entries.
        """
        if self._unsynced:
            self._unsynced = False
            sync_file(self._fd, self._location, self._size)
        else:
            require_whole(self._fd, self._location, self._size)
        return sync_file(fd, path, size)

    def close(self) -> None:
        """Close the ledger, if one is open. Raises OSError."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _count_lines(path: Path, offset: int, lines: int) -> int:
    """Return the number of lines of a file that has `lines` of them before `offset`."""
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        while data := file.read(_CHUNK):
            lines += data.count(b"\n")
    return lines
