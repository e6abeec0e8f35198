"""The ledger beside the data file that is open: what the batches tell, and where in the data it happened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ssmd.archive.entries import Entries, lost_behind
from ssmd.archive.layout import ledger_path
from ssmd.archive.ledger import (
    CONTINUED,
    GAP,
    LOST,
    MARK,
    ROTATED,
    STARTED,
    STOPPED,
    TORN,
    Entry,
    decode_entry,
    encode_entry,
)
from ssmd.runtime.interfaces import Batch
from ssmd.writer.disk import sync_file, write_all
from ssmd.writer.torn import set_torn_tail_aside

__all__ = ["MARK_BYTES", "Ledger", "read_entries"]

MARK_BYTES = 64 * 1024 * 1024
"""How far apart the marks are: a start counts the lines behind the last entry, and need not read a whole day."""

_CHUNK = 1024 * 1024
_IS_GAP = f'"event":"{GAP}"'.encode()
_HEAD_BYTES = 64
"""What of an entry's line has its `ts` and its `event`."""


class Ledger:
    """Keeps the place, and the entries not yet written. open_day(), write(), sync_with() and close() ask the disk."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._fd = -1
        self._location = ""
        self._began: Mapping[str, object] = {}
        self._run_lines = self._run_bytes = 0
        self._mark_at = 0
        self._unsynced = False
        self.offset = 0
        """The bytes of the data file, with what waits to be written."""
        self.line = 0
        """The lines of it."""
        self.pending: list[bytes] = []
        """The lines of entries that wait for write(), to be called before what follows them is written."""
        self.final: list[bytes] = []
        """Those that wait for write_final(): they add up what stands before them, so that must be durable first."""
        self.lost: Mapping[str, int] = {}
        """What an earlier run has counted and was not there at open_day(): its `lines` and `bytes`."""

    def open_day(self, data: Path, torn: int, now_ns: int) -> int:
        """Begin or continue the ledger beside `data`, which is repaired; `torn`: bytes that were set aside of it.

        Returns how many bytes of the ledger itself were. Raises OSError, OutputError and WriteError.
        """
        path = ledger_path(data.parent, self._feed)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._location = str(path)
        aside = set_torn_tail_aside(path, decode_entry)
        os.fsync(self._fd)
        self.offset = data.stat().st_size
        entries = read_entries(path)
        known = [entry for entry in entries[-1:] if entry.offset <= self.offset]
        self.line = _count_lines(data, *((known[0].offset, known[0].line) if known else (0, 0)))
        self._mark_at = self.offset + MARK_BYTES
        if torn:
            self.add(TORN, now_ns, {"bytes": torn})
        end = lost_behind(entries, self.offset)
        self.lost = {"lines": end.line - self.line, "bytes": end.offset - self.offset} if end is not None else {}
        if self.lost:
            self.add(LOST, now_ns, self.lost)
        return aside

    def add(self, event: str, ts_ns: int, fields: Mapping[str, object]) -> None:
        """An entry at the present place."""
        self.pending.append(encode_entry(Entry(ts_ns, event, self.offset, self.line, fields)))

    def take(self, batch: Batch) -> None:
        """A batch, whose lines are not written yet."""
        if batch.notes:
            self._add_notes(batch)
        self.offset += len(batch.data)
        self.line += batch.messages
        if self.offset >= self._mark_at:
            self._mark_at = self.offset + MARK_BYTES
            self.add(MARK, batch.received_ns, {})

    def _add_notes(self, batch: Batch) -> None:
        offset, index = self.offset, 0
        lines = batch.data.splitlines(keepends=True)
        for note in batch.notes:
            offset += sum(map(len, lines[index : note.place]))
            index = min(max(note.place, index), len(lines))
            fields = dict(note.fields)
            if note.event == STARTED:
                self._began = note.fields
                self._run_lines, self._run_bytes = -self.line, -self.offset
            elif note.event == STOPPED:
                fields |= {"lines": self._run_lines + self.line, "bytes": self._run_bytes + self.offset}
            lines_of = self.final if note.event == STOPPED else self.pending
            lines_of.append(encode_entry(Entry(note.ts_ns, note.event, offset, self.line + index, fields)))

    def rotate(self, day: str, ns: int) -> None:
        """The last entry of this day, before the file of another is opened."""
        fields = {"to": day, "lines": self.line, "bytes": self.offset}
        self.final.append(encode_entry(Entry(ns, ROTATED, self.offset, self.line, fields)))
        self._run_lines += self.line
        self._run_bytes += self.offset

    def go_on(self, day: str, ns: int) -> None:
        """The first entry of the new day, for a connection that was open on the day before."""
        self._run_lines -= self.line
        self._run_bytes -= self.offset
        self.add(CONTINUED, ns, {"from": day, **self._began})

    def write(self) -> None:
        """Write the entries that wait. Raises WriteError."""
        lines, self.pending = self.pending, []
        write_all(self._fd, lines, self._location)
        self._unsynced = True

    def write_final(self) -> None:
        """Write those that come last, once the data is synced. Raises WriteError."""
        lines, self.final = self.final, []
        write_all(self._fd, lines, self._location)
        self._unsynced = True

    def sync_with(self, fd: int, location: str) -> int:
        """Make the ledger durable and then the data file; return what sync_file() does. Raises WriteError.

        In that order the power never leaves lines that no entry tells of, and entries of lines that never came do no
        harm.
        """
        if self._unsynced:
            self._unsynced = False
            sync_file(self._fd, self._location)
        return sync_file(fd, location)

    def close(self) -> None:
        """Raises OSError."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def read_entries(path: Path) -> list[Entry]:
    """The entries of a ledger, without those of lines that never came; none when there is no ledger.

    What cannot be read is left out: verify tells of it. Of gaps in a row there is only the last: a start needs no
    more than the place, and must not need the memory for a million of them.
    """
    entries = Entries()
    try:
        with open(path, "rb") as file:
            for line in _without_gaps_in_a_row(file):
                with contextlib.suppress(ValueError):
                    entries.add(decode_entry(line))
    except FileNotFoundError:
        return []
    return list(entries)


def _without_gaps_in_a_row(lines: Iterable[bytes]) -> Iterator[bytes]:
    last_gap = None
    for line in lines:
        if _IS_GAP in line[:_HEAD_BYTES]:
            last_gap = line
            continue
        if last_gap is not None:
            yield last_gap
            last_gap = None
        yield line
    if last_gap is not None:
        yield last_gap


def _count_lines(path: Path, offset: int, lines: int) -> int:
    """The lines of a file that has so many of them before `offset`."""
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        while data := file.read(_CHUNK):
            lines += data.count(b"\n")
    return lines
