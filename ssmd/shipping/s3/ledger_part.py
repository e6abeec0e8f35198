"""The part of a day's ledger that belongs to some of its lines."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ssmd.store.durable import sync_data
from ssmd.store.head import split
from ssmd.store.inventory import looking
from ssmd.store.ledger import decode_entry

__all__ = ["LedgerPart"]


class LedgerPart:
    """Goes through a ledger that may still grow. Raises DataError, naming the file, for what cannot be read.

    An entry is written before the lines that follow it, and entries are in the order of their places. So those with a
    place before the end of lines that are there will not become more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.at = 0
        """How many bytes of the ledger were gone through."""

    def take(self, offset: int) -> None:
        """Pass over the entries with a place in the data before `offset`."""
        self.at, _ = self.before(offset)

    def before(self, offset: int) -> tuple[int, bytes]:
        """Return the lines of the next entries with a place before `offset`, and where they end. They are durable."""
        data = self._read()
        end = 0
        for line in split(data):
            with contextlib.suppress(ValueError):  # A damaged one belongs to those before it.
                if decode_entry(line).offset >= offset:
                    break
            end += len(line)
        return self.at + end, data[:end]

    def rest(self) -> bytes:
        """Return the lines of all further entries."""
        return self._read()

    def _read(self) -> bytes:
        """Return the whole lines from the place on."""
        with looking(self._path):
            try:
                file = open(self._path, "rb")  # noqa: SIM115
            except FileNotFoundError:
                return b""
            with file:
                with contextlib.suppress(OSError):  # On a file system that is mounted to be read only.
                    sync_data(file.fileno())
                data = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, self.at)
        return data[: data.rfind(b"\n") + 1]
