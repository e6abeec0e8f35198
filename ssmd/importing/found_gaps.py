"""The gaps that an import finds in the sequences of a day, kept in a temporary file until the ledger can be written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import Inspector
from ssmd.store.ledger import GAP, Entry, encode_entry, gap_fields

__all__ = ["FoundGaps"]

_GATHERED_BYTES = 64 * 1024


class FoundGaps:
    """The `gap` entries of one day, in order. All methods raise OSError.

    The ledger begins with the entries of the import, which need the checksums of whole files. A recording may have a
    gap at each message, so the gaps wait on the disk until then. `path`: the file for them, replaced if it is there.
    """

    def __init__(self, path: Path, inspector: Inspector) -> None:
        self._path = path
        self._inspector = inspector
        self._entries: list[bytes] = []
        self._size = 0
        path.unlink(missing_ok=True)

    def take(self, ns: int, payload: bytes, offset: int, line: int) -> None:
        """Take the next message of the day. `offset`: where its line begins, in bytes; `line`: the lines before."""
        for event in self._inspector.inspect([payload]).events:
            if isinstance(event, Gap):
                fields = gap_fields(event.sid, event.expected, event.got, event.missing, event.name)
                self._entries.append(encode_entry(Entry(ns, GAP, offset, line, fields)))
                self._size += len(self._entries[-1])
        if self._size >= _GATHERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory to the file."""
        if self._entries:
            with open(self._path, "ab") as file:
                file.write(b"".join(self._entries))
            self._entries, self._size = [], 0

    def copy_to(self, target: BinaryIO) -> None:
        """Append all entries to a file, after flush()."""
        if self._path.exists():
            with open(self._path, "rb") as file:
                shutil.copyfileobj(file, target)

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
