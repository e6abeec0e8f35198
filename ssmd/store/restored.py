"""Notes about lines that were put into a day from a copy elsewhere: they say where the lines after them are now.

    {storage}/.{stem}.restored
    {"day":"2026-01-31","offset":5120,"line":40,"bytes":12800,"lines":100,"size":20480}

A relay that has handed out lines of that day reads them: its place in the data is another one afterwards, or lines were
added behind it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ssmd.errors import DataError
from ssmd.store.durable import write_durably

__all__ = ["RestoredLines", "note_restored", "read_restored"]

_MOST = 100
"""How many notes are kept, the newest ones."""


class RestoredLines(msgspec.Struct, frozen=True):
    """Lines that were put into the data of a day."""

    day: str
    offset: int
    line: int
    """After how many bytes, and lines, of the day as it was."""
    bytes: int
    lines: int
    """How many were put there. Of the former, 0 while it is not known."""
    size: int | None
    """How many bytes the day has afterwards; None while they are being written."""


_decoder = msgspec.json.Decoder(RestoredLines)


def read_restored(storage: Path, stem: str, day: str) -> list[RestoredLines]:
    """Return the notes about a day, the oldest first. Raises DataError when they cannot be read."""
    return [note for note in _read(_path(storage, stem)) if note.day == day]


def note_restored(storage: Path, stem: str, note: RestoredLines) -> None:
    """Write a note, durably. It replaces one about the same place that was not finished.

    Raises DataError, OutputError, WriteError.
    """
    path = _path(storage, stem)
    others = [one for one in _read(path) if one.size is not None or one.day != note.day]
    write_durably(path, b"".join(msgspec.json.encode(one) + b"\n" for one in [*others, note][-_MOST:]))


def _path(storage: Path, stem: str) -> Path:
    return storage / f".{stem}.restored"


def _read(path: Path) -> list[RestoredLines]:
    try:
        return _decoder.decode_lines(path.read_bytes()) if path.exists() else []
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: cannot be read: it {error}; move it away") from None
