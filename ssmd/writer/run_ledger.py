"""The ledger of a run: the notes of its batches become entries, each at its place in the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ssmd.contracts.writer import Batch
from ssmd.store.asked import ConnectionState
from ssmd.store.ledger import CONTINUED, MARK, RECONFIGURED, ROTATED, STARTED, STOPPED, Entry, encode_entry
from ssmd.store.ledger_appender import LedgerAppender

__all__ = ["MARK_BYTES", "RunLedger"]

MARK_BYTES = 64 * 1024 * 1024
"""The data between two marks. A start counts the lines after the last entry, and so need not read a whole day."""


class RunLedger(LedgerAppender):
    """Follows a run from day to day. take(), rotate() and go_on() only compute."""

    def __init__(self, stem: str) -> None:
        super().__init__(stem)
        self._began: Mapping[str, object] = {}
        self._state = ConnectionState()
        self._run_lines = self._run_bytes = 0
        self._mark_at = 0
        self.final: list[bytes] = []
        """Encoded entries that count all lines before them; those lines must be durable before write_final()."""

    def open_day(self, data: Path, torn: int, now_ns: int) -> int:
        aside = super().open_day(data, torn, now_ns)
        self._mark_at = self.offset + MARK_BYTES
        return aside

    def take(self, batch: Batch) -> None:
        """Take a batch whose lines are not written yet."""
        if batch.notes:
            self._add_notes(batch)
        self.offset += len(batch.data)
        self.line += batch.messages
        if self.offset >= self._mark_at:
            self._mark_at = self.offset + MARK_BYTES
            self.add(MARK, batch.received_ns, {})

    def _add_notes(self, batch: Batch) -> None:
        offset, index = self.offset, 0
        lines = batch.data.splitlines(keepends=True) if batch.messages > 1 else [batch.data][: batch.messages]
        for note in batch.notes:
            offset += sum(map(len, lines[index : note.place]))
            index = min(max(note.place, index), len(lines))
            fields = dict(note.fields)
            if note.event == STARTED:
                self._began = note.fields
                self._run_lines, self._run_bytes = -self.line, -self.offset
            elif note.event == RECONFIGURED:
                self._began = {**self._began, **note.fields}
            elif note.event == STOPPED:
                fields |= {"lines": self._run_lines + self.line, "bytes": self._run_bytes + self.offset}
            self._state.take(note.event, note.fields)
            lines_of = self.final if note.event == STOPPED else self.pending
            lines_of.append(encode_entry(Entry(note.ts_ns, note.event, offset, self.line + index, fields)))

    def rotate(self, day: str, ns: int) -> None:
        """Add the last entry of this day, before the file of `day` is opened."""
        fields = {"to": day, "lines": self.line, "bytes": self.offset}
        self.final.append(encode_entry(Entry(ns, ROTATED, self.offset, self.line, fields)))
        self._run_lines += self.line
        self._run_bytes += self.offset

    def go_on(self, day: str, ns: int) -> None:
        """Add the first entries of the new day, for a connection that was open on `day`, the day before.

        They say what is asked for now, so that the day can be understood without the one before.
        """
        self._run_lines -= self.line
        self._run_bytes -= self.offset
        self.add(CONTINUED, ns, {"from": day, **self._began})
        for event, fields in self._state.entries():
            self.add(event, ns, fields)

    def write_final(self) -> None:
        """Write the entries that come last, after the data is synced. Raises WriteError."""
        lines, self.final = self.final, []
        self._append(lines)
