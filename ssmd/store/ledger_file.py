"""Reads a ledger from the disk, with what is wrong with it. Every reader of ledgers uses it."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ssmd.errors import DataError
from ssmd.store.ledger import (
    ASKED,
    CONTINUED,
    FOLLOWED,
    GAP,
    LOST,
    OF_WHAT_IS_DURABLE,
    RESPONSE,
    STARTED,
    SUBSCRIBED,
    UNFOLLOWED,
    Entry,
    decode_entry,
)
from ssmd.store.line import LONGEST_LINE
from ssmd.store.on_demand import present
from ssmd.store.packed_entries import Entries

__all__ = ["LedgerFile", "Loss", "read_ledger", "readable_entries"]

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""No such file, or a link that leads nowhere."""

_KINDS = {
    f'"event":"{event}"'.encode(): kind
    for kind, events in enumerate(((GAP,), (RESPONSE,), (ASKED, SUBSCRIBED, FOLLOWED, UNFOLLOWED)), 1)
    for event in events
}
"""What the line of an entry has of which there may be very many, with the number of its kind: gaps, responses, and what
is said of the markets that come and go.
"""
_HEAD_BYTES = 64
"""This much of an entry's line contains its `ts` and its `event`."""


class Loss(NamedTuple):
    """Lines that were on the disk and are gone."""

    line: int
    """How many lines the data file had left."""
    lines: int
    """How many were gone."""


class LedgerFile(NamedTuple):
    """What a ledger contains."""

    entries: Entries
    """Without those about lines that never reached the file."""
    sha256: str
    """Of its whole lines."""
    bad: list[int]
    """Which of its lines are no entries, counted from 1."""
    torn: bool
    """Its last line is not whole."""
    losses: list[Loss]
    """What was gone of the data when a later run went on."""
    starts: list[int]
    """The offsets at which runs began to write, also of runs whose entries are left out."""


def read_ledger(path: Path, *, whole: bool = True) -> LedgerFile | None:
    """Return what a ledger contains, None when there is none. Raises DataError when it cannot be read.

    `whole=False` keeps only the last of several gaps in a row, of several responses, and of several entries about what
    is subscribed to, without decoding the others, and so needs no memory for a million of them. `bad` is then not
    complete, and a line that is too long is one of the bad ones.
    """
    reader = _Reader()
    try:
        with open(present(path), "rb") as file:
            reader.read(_lines(file, path) if whole else _in_short(_lines(file)))
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return LedgerFile(reader.entries, reader.digest.hexdigest(), reader.bad, reader.torn, reader.losses, reader.starts)


def readable_entries(path: Path) -> Entries:
    """Return the entries of a ledger as far as it can be read; none when it is not there or cannot be read at all.

    They are those of read_ledger() with `whole=False`.
    """
    try:
        ledger = read_ledger(path, whole=False)
    except DataError:
        ledger = None
    return ledger.entries if ledger is not None else Entries()


class _Reader:
    """Adds up what the lines of a ledger say."""

    def __init__(self) -> None:
        self.entries = Entries()
        self.digest = hashlib.sha256()
        self.bad: list[int] = []
        self.torn = False
        self.losses: list[Loss] = []
        self.starts: list[int] = []
        self._counted: list[Entry] = []

    def read(self, lines: Iterable[bytes]) -> None:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                self.torn = True
                break
            self.digest.update(line)
            try:
                entry = decode_entry(line)
            except ValueError:
                self.bad.append(number)
                continue
            self.entries.add(entry)
            if entry.event in (STARTED, CONTINUED):
                self.starts.append(entry.offset)
            self._find_loss(entry)

    def _find_loss(self, entry: Entry) -> None:
        """Note what was lost before a run went on. It takes all entries, because Entries leaves out the proof of it.

        A `lost` says so. Without one, a run that begins before an end that an earlier run has counted shows it.
        """
        gone = 0
        while self._counted and self._counted[-1].offset > entry.offset:
            gone = max(gone, self._counted.pop().line - entry.line)
        said = entry.fields.get("lines") if entry.event == LOST else None
        if isinstance(said, int):
            gone = said
        if gone:
            self.losses.append(Loss(entry.line, gone))
        if entry.event in OF_WHAT_IS_DURABLE:
            self._counted.append(entry)


def _lines(file: BinaryIO, path: Path | None = None) -> Iterator[bytes]:
    """Yield the lines of a file. For one of more than LONGEST_LINE bytes raise DataError, naming `path`; without a path
    yield its last bytes.
    """
    while line := file.readline(LONGEST_LINE):
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            if path is not None:
                raise DataError(f"{path}: holds a line of more than {LONGEST_LINE} bytes")
            line = b"\0" + file.readline(LONGEST_LINE - 1)  # In no entry is a NUL, so that this is not taken for one.
        yield line


def _in_short(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines, but of several of one kind in a row only the last."""
    kept, of_kind = b"", 0
    for line in lines:
        head = line[:_HEAD_BYTES]
        kind = next((_KINDS[each] for each in _KINDS if each in head), 0)
        if kept and kind != of_kind:
            yield kept
        kept, of_kind = (line, kind) if kind else (b"", 0)
        if not kind:
            yield line
    if kept:
        yield kept
