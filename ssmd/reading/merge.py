"""Merges several data files into one stream of lines, ordered by time, with little memory.

Each file is read in blocks and keeps its own order. Where files do not overlap, whole blocks are passed on unchanged.
Where they do, all lines up to the end of the block that ends first are sorted at once. The sort merges runs that are in
order already.
"""

from __future__ import annotations

import contextlib
import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import DataError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.seek import blocks, lines_before, ranges
from ssmd.reading.selection import ALL, Selection
from ssmd.reading.stretches import Stretch, divided
from ssmd.store.head import split, time_key
from ssmd.store.layout import DayFile

__all__ = ["Trouble", "by_stretch", "merged"]


class Trouble(NamedTuple):
    """Something in a file that cannot be read. Reading goes on after it."""

    path: Path
    line: int | None
    """The number of the line, from 1; None when the rest of the file cannot be read."""
    text: str
    torn: bool = False
    """The file ends with part of a line: a kill left it, or it is being written at this moment."""

    def __str__(self) -> str:
        return self.text if self.line is None else f"{self.path}:{self.line}: {self.text}"


def merged(
    files: Sequence[DayFile], selection: Selection = ALL, *, trouble: Callable[[Trouble], None]
) -> Iterator[bytes]:
    """Yield the wanted lines of all files in blocks, ordered by time; of two equal times, the earlier file comes first.

    `trouble` is called for everything that cannot be read, and may raise. A line that ssmd did not write is left out.
    """
    # A day's file is not opened before the merge reaches its day, so a storage folder of years needs few descriptors.
    waiting = [
        (file.day.encode("ascii"), number, _Stream(file, number, selection, trouble))
        for number, file in enumerate(files)
        if selection.may_hold(file.day)
    ]
    heapq.heapify(waiting)
    active: list[_Stream] = []
    while waiting or active:
        if active and (not waiting or min(map(_END, active)) < waiting[0][:2]):
            yield _up_to_an_end(active)
        else:
            active.append(heapq.heappop(waiting)[2])
            active.sort(key=_NUMBER)
        active = [stream for stream in active if stream.begin()]


def _up_to_an_end(active: Sequence[_Stream]) -> bytes:
    """Return the next lines of streams, which are in the order of their files: all of the block that ends first, and
    those lines of the others that come before its end.
    """
    first = min(active, key=_END)
    streams = [stream for stream in active if stream is first or (stream.first, stream.number) < first.end]
    if len(streams) == 1:
        return first.whole()
    lines: list[bytes] = []
    times: list[bytes] = []
    for stream in streams:
        stream.move_to(lines, times, None if stream is first else first.end)
    time = iter(times)
    lines.sort(key=lambda _: next(time))  # The key is asked for once for each line, in their order.
    return b"".join(lines)


def by_stretch(files: Iterable[DayFile], selection: Selection) -> Iterator[tuple[bytes, Stretch]]:
    """Yield the lines of the wanted time, one file after the other, each block with its stretch; leave out the rest."""
    in_time = selection._replace(types=ALL.types, markets=ALL.markets)
    for file in files:
        if not selection.may_hold(file.day):
            continue
        found = ranges(file, selection.begin, selection.end) if selection.by_time else None
        parts = [(0, LineBlocks(file.path))] if found is None else _parts(file.path, found)
        with contextlib.suppress(DataError):
            for offset, source in parts:
                for block, stretch in divided(source, offset, selection.stretches(file)):
                    if wanted := in_time.apply(block).block:
                        yield wanted, stretch


class _Stream:
    """One file and the part of its current block that is not merged yet.

    Where the clock was set back, a line counts as received when the line before it was.
    """

    def __init__(self, file: DayFile, number: int, selection: Selection, trouble: Callable[[Trouble], None]) -> None:
        self._blocks = _selected(file, selection, trouble)
        self._block = b""
        self._lines: list[bytes] = []
        self._times: list[bytes] = []
        self.number = number
        """The place of its file among all: of two equal times, the earlier file comes first."""
        self.first = b""
        """The time of the next line."""
        self.end = (b"", number)
        """The time of the last line of the block, and the number."""

    def begin(self) -> bool:
        """Read the next block if the current one is used up; return False at the end of the file."""
        if self._block or self._lines:
            return True
        self._block = next(self._blocks, b"")
        if not self._block:
            return False
        self.first = max(self.end[0], time_key(self._block))
        last = time_key(self._block[self._block.rfind(b"\n", 0, -1) + 1 :])
        self.end = (max(self.first, last), self.number)
        return True

    def whole(self) -> bytes:
        """Return the rest of the block."""
        block = self._block or b"".join(self._lines)
        self._block, self._lines = b"", []
        return block

    def move_to(self, lines: list[bytes], times: list[bytes], end: tuple[bytes, int] | None) -> None:
        """Move the lines before an end, or all of the block, to the end of `lines`, and their times to `times`."""
        if self._block:
            self._lines = split(self._block)
            self._times = list(accumulate(map(time_key, self._lines), max, initial=self.first))[1:]
            self._block = b""
            self.end = (self._times[-1], self.number)
        count = len(self._lines)
        if end is not None:
            find = bisect_right if self.number < end[1] else bisect_left
            count = find(self._times, end[0])
        lines += self._lines[:count]
        times += self._times[:count]
        self._lines, self._times = self._lines[count:], self._times[count:]
        if self._lines:
            self.first = self._times[0]


_END, _NUMBER = attrgetter("end"), attrgetter("number")


def _selected(file: DayFile, selection: Selection, trouble: Callable[[Trouble], None]) -> Iterator[bytes]:
    """Yield the wanted lines of one file, in blocks that are never empty."""
    path = file.path
    found = ranges(file, selection.begin, selection.end) if selection.by_time else None
    if found is not None:
        for start, source in _parts(path, found):
            yield from _wanted(file, source, selection, trouble, start)
        return
    whole = LineBlocks(path)
    lines = yield from _wanted(file, whole, selection, trouble, 0)
    if whole.torn:
        trouble(Trouble(path, lines + 1, f"not a whole line ({len(whole.torn)} bytes)", torn=True))


def _parts(path: Path, found: Iterable[tuple[int, int]]) -> Iterator[tuple[int, Iterable[bytes]]]:
    """Yield where each byte range begins, and its blocks."""
    return ((start, blocks(path, start, stop)) for start, stop in found)


def _wanted(
    file: DayFile, source: Iterable[bytes], selection: Selection, trouble: Callable[[Trouble], None], offset: int
) -> Generator[bytes, None, int]:
    """Yield the wanted lines of blocks that begin at `offset` in the file; return how many lines the blocks had."""
    path, count = file.path, 0
    stretches = selection.stretches(file) if selection.by_content else ()
    pieces = divided(source, offset, stretches) if stretches else zip(source, repeat(None), strict=False)
    try:
        for block, stretch in pieces:
            wanted, lines, damaged = selection.apply(block, stretch.reader if stretch is not None else None)
            if wanted:
                yield wanted
            if damaged:
                before = count + (lines_before(path, offset) if offset else 0)
                for line in damaged:
                    trouble(Trouble(path, before + line + 1, "not a line of ssmd"))
            count += lines
    except DataError as error:
        trouble(Trouble(path, None, str(error)))
    return count
