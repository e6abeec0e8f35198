"""Which connection received the lines at each place of a day, and in which dialect, from a ledger that still grows."""

from __future__ import annotations

import operator
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ssmd.errors import DataError
from ssmd.store.ledger import CONNECTED, CONTINUED, FIRST_OF_A_RUN, GAP, IMPORTED, MARK, Entry, decode_entry
from ssmd.store.sessions import recorded_dialects
from ssmd.store.timestamps import timestamp

__all__ = ["LedgerParts", "Part", "divided_by_part"]

_IS_GAP = f'"event":"{GAP}"'.encode()
_HEAD_BYTES = 64
"""This much of an entry's line contains its `ts` and its `event`."""

_BORDERS = (CONNECTED, CONTINUED, IMPORTED, *FIRST_OF_A_RUN)
"""The events with which another part begins."""


class Part(NamedTuple):
    """What holds for the lines from a place on, up to the next part."""

    offset: int
    """Where it begins, in bytes of lines."""
    session: str
    """When the connection that received them began in this ledger; empty when it does not say that."""
    exchange: str
    """The name of the dialect; empty when no entry names one."""
    description: Mapping[str, Any]
    """Of the exchange's messages."""


_UNKNOWN = Part(0, "", "", {})
_BEGINNING = (0, 0)


class LedgerParts:
    """The parts that one ledger describes. update() reads what it has got since the last time.

    A collector writes an entry before the lines behind it. So when lines were read first, and the ledger after them,
    everything about these lines is known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = self._read = 0
        self._parts = [_UNKNOWN]
        self._places = [_BEGINNING]
        self.last: Entry | None = None
        """The last entry so far, but no `gap`; None when there is none."""

    def update(self) -> None:
        """Read the entries that are new. A ledger that is not there has none. Raises DataError."""
        try:
            now = os.stat(self._path)
            if (now.st_ino, now.st_size) == (self._inode, self._read):
                return
            with open(self._path, "rb") as file:
                self._read_from(file)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read: {error.strerror}") from None

    def _read_from(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._read:
            self._inode, self._read, self.last = status.st_ino, 0, None
            self._parts, self._places = [_UNKNOWN], [_BEGINNING]
        file.seek(self._read)
        for line in file:
            if not line.endswith(b"\n"):
                break  # A collector is about to write the rest of it, or the next start sets it aside.
            self._read += len(line)
            if _IS_GAP not in line[:_HEAD_BYTES]:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            self.last = entry = decode_entry(line)
        except ValueError:
            return  # `ssmd verify` reports a line that is no entry.
        if entry.event not in _BORDERS and entry.event != MARK:
            return
        # Entries about lines that never reached the file have a larger offset than those of the next start.
        while self._places[-1][0] > entry.offset:
            self._places.pop()
        self._places.append((entry.offset, entry.line))
        if entry.event == MARK:
            return
        while self._parts[-1].offset > entry.offset:
            self._parts.pop()
        before = self._parts[-1]
        session = timestamp(entry.ts_ns) if entry.event in (CONNECTED, CONTINUED) else ""
        part = before._replace(offset=entry.offset, session=session)
        for one in recorded_dialects([entry]):
            part = part._replace(exchange=one.exchange, description=one.description)
        if before.offset == part.offset:
            self._parts.pop()
        self._parts.append(part)

    def all(self) -> Sequence[Part]:
        """Return all parts, in order; one at least."""
        return self._parts

    def at(self, offset: int) -> Part:
        """Return the part of the line that begins at an offset."""
        return self._parts[self._place(offset)]

    def end(self, offset: int) -> int | None:
        """Return where the part of the line at an offset ends; None when no other part follows so far."""
        place = self._place(offset) + 1
        return self._parts[place].offset if place < len(self._parts) else None

    def place_before(self, offset: int) -> tuple[int, int]:
        """Return the last place up to an offset of which the ledger says how many lines are before it: its offset, and
        these lines. In a damaged ledger they may be wrong.
        """
        return self._places[bisect_right(self._places, offset, key=operator.itemgetter(0)) - 1]

    def _place(self, offset: int) -> int:
        return bisect_right(self._parts, offset, key=operator.itemgetter(0)) - 1


def divided_by_part(blocks: Iterable[bytes], parts: LedgerParts) -> Iterator[tuple[bytes, Part]]:
    """Yield blocks of whole lines, from the beginning of a day on, each with its part, cut where the next begins."""
    offset = 0
    for block in blocks:
        begin = 0
        while begin < len(block):
            part, end = parts.at(offset + begin), parts.end(offset + begin)
            until = len(block)
            if end is not None and end < offset + len(block):
                # In a damaged ledger it may lie within a line, which then belongs to what ends there.
                until = block.rfind(b"\n", begin, end - offset) + 1 or block.find(b"\n", begin) + 1
            yield block[begin:until], part
            begin = until
        offset += len(block)
