"""The lines and the ledger of a day on this host, for the comparison with those of a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ssmd.store.ledger import Entry
from ssmd.store.ledger_file import readable_entries

__all__ = ["LocalDay", "same_bytes"]

_CHUNK = 1024 * 1024


class LocalDay:
    """A plain data file of whole lines, and its ledger. Neither need exist. Raises OSError."""

    def __init__(self, path: Path, ledger: Path) -> None:
        self.path = path
        self.ledger_path = ledger
        self.exists = path.exists()
        self.ledger = ledger.read_bytes() if ledger.exists() else b""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if self.exists else -1
        self.size = os.fstat(self._fd).st_size if self.exists else 0
        self._places = [(0, 0), *((one.line, one.offset) for one in self.entries() if one.offset <= self.size)]
        """Numbers of lines, and where these end, from the ledger: so the whole file need not be read."""
        self.lines, _ = self._go(*max(self._places), None)

    def entries(self) -> list[Entry]:
        return list(readable_entries(self.ledger_path))

    def offset_of(self, line: int) -> int:
        """Return how many bytes the first `line` lines have, or all lines when there are fewer."""
        start = max(place for place in self._places if place[0] <= line)
        return self._go(*start, line)[1]

    def _go(self, line: int, offset: int, until: int | None) -> tuple[int, int]:
        """Count lines from a place on, up to the line `until`; return the number of the last one and where it ends."""
        while data := self.read(offset, _CHUNK):
            count = data.count(b"\n")
            if until is not None and line + count >= until:
                rest = data
                for _ in range(until - line):
                    end = rest.index(b"\n") + 1
                    offset += end
                    rest = rest[end:]
                return until, offset
            line += count
            offset += len(data)
        return line, offset

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset) if self.exists else b""

    def pieces(self, offset: int) -> Iterator[bytes]:
        """Yield all that follows an offset."""
        while data := self.read(offset, _CHUNK):
            yield data
            offset += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self.exists:
            os.close(self._fd)


def same_bytes(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning of the two are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
