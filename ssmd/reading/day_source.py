"""One day's lines, read while they are written: only whole lines that are durable, from a place between two of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from ssmd.errors import DataError
from ssmd.reading.packed_day import PackedDay
from ssmd.reading.plain_day import PlainDay
from ssmd.store.layout import forms_of

__all__ = ["DaySource", "open_day"]


class DaySource(Protocol):
    """The lines of a day, in whatever form they are kept. Every method may raise DataError, which names the file."""

    path: Path

    def read(self, offset: int, most: int) -> bytes:
        """Return whole lines that are durable, from the beginning of one on: about `most` bytes, at least one line;
        nothing at their end.
        """

    def look(self) -> bool:
        """Return whether there are more whole lines, for which sync() has to be called."""

    def sync(self) -> None:
        """Make durable what look() has found. Raises WriteError when that fails."""

    def bytes_after(self, offset: int) -> int:
        """Return how many bytes of whole lines may follow an offset, durable or not."""

    def end(self) -> int:
        """Return where the last whole line ends, durable or not."""

    def peek(self, offset: int) -> bytes:
        """Return the beginning of the line at an offset, its time at least."""

    def lines_before(self, offset: int, known: tuple[int, int]) -> int | None:
        """Return how many lines the day has before an offset; None where no line ends, or when the day ends before it.

        `known`: an offset before it, and how many lines are before that.
        """

    def line_before(self, offset: int) -> bytes:
        """Return the line that ends at an offset. lines_before() must have found that one does."""

    def is_current(self) -> bool:
        """Return whether this is still the file from which the day has to be read."""

    def close(self) -> None: ...


def open_day(folder: Path, stem: str) -> DaySource | None:
    """Return the lines of a day; None when it has no data. Raises DataError when the file cannot be opened."""
    for path in forms_of(folder, stem):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        if path.name.endswith(".jsonl"):
            return PlainDay(path, fd)
        os.close(fd)
        return PackedDay(path, stem)
    return None
