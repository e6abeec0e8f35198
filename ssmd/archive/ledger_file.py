"""A ledger as it is on the disk: read once, with what is wrong with it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from ssmd.archive.entries import Entries
from ssmd.archive.ledger import LOST, OF_WHAT_IS_DURABLE, Entry, decode_entry
from ssmd.archive.lines import LineBlocks, split
from ssmd.errors import DataError

__all__ = ["LedgerFile", "Loss", "read_ledger"]


class Loss(NamedTuple):
    """Lines that were on the disk and are gone."""

    line: int
    """How many lines the data file had left."""
    lines: int
    """How many were gone."""


class LedgerFile(NamedTuple):
    """What a ledger holds."""

    entries: Entries
    """Without those that tell of lines which never came."""
    sha256: str
    bad: list[int]
    """The lines of it that are no entries, counted from 1."""
    torn: bool
    """Its last line is not whole."""
    losses: list[Loss]
    """What was gone of the data when a later run went on."""


def read_ledger(path: Path) -> LedgerFile | None:
    """None when there is none. Raises DataError when it cannot be read."""
    entries, losses, bad = Entries(), _Losses(), []
    digest = hashlib.sha256()
    number = 0
    blocks = LineBlocks(path)
    try:
        if not path.exists():
            return None
    except OSError as error:  # It is a link to where nobody may look.
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    for block in blocks:
        digest.update(block)
        for line in split(block):
            number += 1
            try:
                entry = decode_entry(line)
            except ValueError:
                bad.append(number)
                continue
            entries.add(entry)
            losses.add(entry)
    return LedgerFile(entries, digest.hexdigest(), bad, bool(blocks.torn), losses.found)


class _Losses:
    """What was lost before a run went on, by all entries, for Entries leave out what would tell of it.

    A `lost` tells itself; without one, a run that begins before the end that an earlier one has counted does.
    """

    def __init__(self) -> None:
        self.found: list[Loss] = []
        self._counted: list[Entry] = []

    def add(self, entry: Entry) -> None:
        gone = 0
        while self._counted and self._counted[-1].offset > entry.offset:
            gone = max(gone, self._counted.pop().line - entry.line)
        said = entry.fields.get("lines") if entry.event == LOST else None
        if isinstance(said, int):
            gone = said
        if gone:
            self.found.append(Loss(entry.line, gone))
        if entry.event in OF_WHAT_IS_DURABLE:
            self._counted.append(entry)
