"""Reads a day in Parquet back: its lines, byte for byte and in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ssmd.errors import DataError
from ssmd.parquet import form
from ssmd.parquet.checksum import problems_in
from ssmd.parquet.part_reader import PartReader

__all__ = ["BLOCK_BYTES", "lines_in"]

BLOCK_BYTES = 128 * 1024
"""About how long a block is. It ends with the line that makes it so long, so a long line makes it longer."""

_OF_DAMAGE = (pa.ArrowException, LookupError, ValueError, TypeError, ArithmeticError, AttributeError)
"""What reading may raise when the metadata of a file was damaged."""

_IN_MEMORY = 8 * 1024 * 1024
"""How many bytes of lines are in memory, of all tables together, as far as lines are of about the same length."""
_FEWEST_BYTES = 64 * 1024
"""How many bytes of lines are put together at once, however many tables there are."""


def lines_in(folder: Path, progress: Callable[[float], None] = lambda share: None) -> Iterator[bytes]:
    """Yield the lines of a day in order, in blocks that each end in a newline, of about BLOCK_BYTES.

    `progress` is called with what part of the day was read, from 0 to 1.
    Raises DataError, naming the file, for what cannot be read, and when a file or a row is missing.
    """
    try:
        yield from _lines_in(folder, progress)
    except _OF_DAMAGE:
        problem = next(problems_in(folder), None)
        if problem is None:
            raise
        raise DataError(f"{folder}/{problem}") from None


def _lines_in(folder: Path, progress: Callable[[float], None]) -> Iterator[bytes]:
    parts = _opened(folder)
    source = parts[0].source
    first = wanted = source.get("first_line", 1)
    for numbers, lines in _in_order([iter(part) for part in parts]):
        if len(numbers) and (numbers[0].as_py() != wanted or numbers[-1].as_py() != wanted + len(numbers) - 1):
            raise DataError(f"{folder}: cannot be read: rows are missing after line {wanted - 1:,}")
        wanted += len(numbers)
        yield from _blocks(lines)
        progress((wanted - first) / max(1, source["lines"]))
    if wanted - first != source["lines"]:
        raise DataError(f"{folder}: cannot be read: it has {wanted - first:,} lines of {source['lines']:,}")


def _opened(folder: Path) -> list[PartReader]:
    """Return all parts of a folder, which are those that each of them names."""
    try:
        names = sorted(path.parent.name for path in folder.glob(f"*/{form.PART}"))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
    if not names:
        raise DataError(f"{folder}: cannot be read: there is no {form.PART} in it")
    parts = [PartReader(folder / name / form.PART, max(_FEWEST_BYTES, _IN_MEMORY // len(names))) for name in names]
    for part in parts:
        if part.source != parts[0].source:
            raise DataError(f"{part.path}: cannot be read: it belongs to another day than {parts[0].path}")
    if missing := sorted(set(parts[0].source["types"]) ^ set(names)):
        what = "is missing" if missing[0] not in names else "does not belong to this day"
        raise DataError(f"{folder / missing[0] / form.PART}: cannot be read: it {what}")
    return parts


Batch = tuple[pa.Array, pa.Array]
"""The numbers of lines, in order, and the lines."""


class _Cursor:
    """How far one part was read."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._at = self._size = 0

    def has_rows(self) -> bool:
        """Read on when the batch is used up; return False at the end of the part."""
        while self._at == self._size:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._numbers, self._lines = batch
            self._at, self._size = 0, len(self._numbers)
            if self._size:
                offset = self._numbers.offset
                self._values = memoryview(self._numbers.buffers()[1]).cast("q")[offset : offset + self._size]
                self.first, self.last = self._values[0], self._values[-1]
        return True

    def up_to(self, bound: int) -> Batch:
        """Take the lines up to a number. There are many parts at times, so it is found without Arrow."""
        start, self._at = self._at, self._size if self.last <= bound else bisect_right(self._values, bound, self._at)
        if self._at < self._size:
            self.first = self._values[self._at]
        return self._numbers.slice(start, self._at - start), self._lines.slice(start, self._at - start)


def _in_order(parts: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Yield the lines of all parts in the order of their numbers."""
    cursors = [cursor for cursor in map(_Cursor, parts) if cursor.has_rows()]
    while cursors:
        bound = min(cursor.last for cursor in cursors)
        taken = [cursor.up_to(bound) for cursor in cursors if cursor.first <= bound]
        if len(taken) == 1:
            yield taken[0]
        else:
            numbers, lines = (pa.concat_arrays(arrays) for arrays in zip(*taken, strict=True))
            order = pc.sort_indices(numbers)
            yield numbers.take(order), lines.take(order)
        cursors = [cursor for cursor in cursors if cursor.has_rows()]


def _blocks(lines: pa.Array) -> Iterator[bytes]:
    """Yield lines, which include their newlines, in blocks."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("i")[lines.offset : lines.offset + len(lines) + 1]
    content = memoryview(data) if data is not None else memoryview(b"")
    start = 0
    for place in range(1, len(ends)):
        if ends[place] - ends[start] >= BLOCK_BYTES or place == len(ends) - 1:
            yield bytes(content[ends[start] : ends[place]])
            start = place
