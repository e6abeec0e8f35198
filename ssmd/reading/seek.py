"""Finds the lines of a span of time in a plain data file by bisection, without reading all of it.

Within a run `ts` never decreases, but between two runs it may, if the clock was set back. So each run is searched by
itself. The ledger says where runs begin; without a ledger the whole file must be read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from ssmd.errors import DataError
from ssmd.reading.blocks import BLOCK_BYTES, LineBlocks
from ssmd.store.head import OPENING, time_key
from ssmd.store.layout import DayFile, ledger_path
from ssmd.store.ledger_file import read_ledger
from ssmd.store.line import LONGEST_LINE
from ssmd.store.on_demand import present

__all__ = ["blocks", "lines_before", "ranges"]

_CHUNK = 64 * 1024


class _NoLine(Exception):
    """There is no line of ssmd at a place where bisection needs one."""


def ranges(file: DayFile, begin: bytes, end: bytes) -> list[tuple[int, int]] | None:
    """Return the byte ranges that hold all lines from `begin` up to `end`; None when the whole file must be read.

    A range consists of whole lines, and may hold other lines too. `begin` and `end` are as in a Selection.
    """
    if file.form != "jsonl" or not file.day:
        return None
    starts = _runs(ledger_path(file.path.parent, file.stem))
    if not starts:
        return None
    try:
        with open(present(file.path), "rb", buffering=0) as opened:
            fd = opened.fileno()
            size = _end_of_lines(fd, os.fstat(fd).st_size)
            edges = sorted({0, size, *(start for start in starts if start < size)})
            found = []
            for start, stop in pairwise(edges):
                if start and os.pread(fd, 1, start - 1) != b"\n":
                    raise _NoLine
                low = _first_from(fd, start, stop, begin)
                high = _first_from(fd, low, stop, end)
                if low < high:
                    found.append((low, high))
            return found
    except (_NoLine, OSError):
        return None  # Reading the whole file reports what is wrong, and where.


def blocks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """Yield the whole lines of a byte range in blocks. Raises DataError for what cannot be read.

    A range counts uncompressed bytes, so it is still right when the file was compacted meanwhile.
    """
    rest: list[bytes] = []
    try:
        with open(present(path), "rb", buffering=0) as file:
            file.seek(start)
            while start < stop and (data := file.read(min(BLOCK_BYTES, stop - start))):
                start += len(data)
                end = data.rfind(b"\n") + 1
                if end:
                    yield b"".join([*rest, data[:end]])
                    rest = []
                rest.append(data[end:])
    except FileNotFoundError:
        yield from _cut_out(path, start, stop)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _cut_out(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """Yield the range from the form that the day has now, reading everything before it too."""
    at = 0
    for block in LineBlocks(path):
        if at >= stop:
            return
        if at + len(block) > start:
            yield block[max(0, start - at) : stop - at]
        at += len(block)


def lines_before(path: Path, offset: int) -> int:
    """Return how many lines of a file begin before `offset`, to give a damaged line its number."""
    return sum(block.count(b"\n") for block in blocks(path, 0, offset))


def _runs(path: Path) -> Sequence[int]:
    """Return the offsets at which runs began to write; none when they are not all known."""
    try:
        ledger = read_ledger(path, whole=False)
    except DataError:
        return []
    if ledger is None or ledger.bad or ledger.torn:
        return []
    # All of them: a damaged entry with a low offset makes those before it look like entries of lines that never came.
    return ledger.starts if 0 in ledger.starts else []


def _end_of_lines(fd: int, size: int) -> int:
    """Return the offset after the last newline, 0 when there is none."""
    while size:
        start = max(0, size - _CHUNK)
        at = os.pread(fd, size - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        size = start
    return 0


def _first_from(fd: int, start: int, stop: int, key: bytes) -> int:
    """Return the offset of the first line received at `key` or later, of a run that lies from `start` to `stop`."""
    low, high = start, stop
    while low < high:
        middle = (low + high) // 2
        line = _line_from(fd, middle, start, stop)
        if line < stop and _time_at(fd, line) < key:
            low = line + 1
        else:
            high = middle
    return _line_from(fd, low, start, stop)


def _line_from(fd: int, at: int, start: int, stop: int) -> int:
    """Return the offset of the first line that begins at `at` or after it."""
    if at == start:
        return at
    at -= 1
    limit = at + LONGEST_LINE
    while at < min(stop, limit):
        chunk = os.pread(fd, min(_CHUNK, stop - at), at)
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        if not chunk:
            raise _NoLine
        at += len(chunk)
    return stop


def _time_at(fd: int, line: int) -> bytes:
    beginning = os.pread(fd, 64, line)
    if not beginning.startswith(OPENING):
        raise _NoLine
    return time_key(beginning)
