"""Reads a recording of another program: its lines, plain or compressed, as messages in the order of time."""

from __future__ import annotations

import codecs
import hashlib
import heapq
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ssmd.errors import DataError
from ssmd.importing.fields import Layout
from ssmd.reading.blocks import decompressed, plain, unzipped, whole_lines
from ssmd.store.head import split

__all__ = ["Message", "Source", "merged"]

LONGEST_LINE = 256 * 1024 * 1024
"""In bytes. A file with a longer line is most likely not one message a line."""

WINDOW_BYTES = 64 * 1024 * 1024
"""A window that has this many bytes is full, however few lines it has."""

MOST_WITHOUT_TIME = 10_000
"""How many lines at the beginning of a file may be without a time."""

_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"


class Message(NamedTuple):
    """One message of a recording."""

    ns: int
    """Its time, in ns since the epoch."""
    line: int
    """The number of its line in the file, from 1. Of two messages of one time, the earlier line comes first."""
    payload: bytes


@dataclass
class Source:
    """One file of a recording.

    `window`: how many lines are sorted by time together; None keeps the order of the file, and a time that goes back
    becomes that of the line before it. `carry_time`: a line without a time has that of the line before it or, at the
    beginning, of the first line that has one. `now_ns`: the present, after which no time can lie.
    """

    path: Path
    layout: Layout
    window: int | None
    carry_time: bool
    now_ns: int
    sha256: str = ""
    """Of the whole file as it is on the disk, once messages() has come to its end."""
    left_out: int = 0
    """How many lines the layout's `where` leaves out."""

    def begins_ns(self) -> int | None:
        """Return the time of the first message, None when there is none. Reads no more of the file than the window."""
        first = next(self.messages(), None)
        return None if first is None else first.ns

    def messages(self) -> Iterator[Message]:
        """Yield the messages, sorted by time within the window.

        Raises DataError, naming file and line, for what cannot be read, and for a message that comes too late for the
        window: a later one was yielded before.
        """
        self.left_out = 0
        held: list[Message] = []
        size = 0
        passed_ns = 0
        for message in self._in_order_of_file():
            if message.ns < passed_ns:
                # A window that its bytes have filled does not become longer with --window.
                remedy = "raise --window, or sort" if len(held) >= (self.window or 0) else "sort"
                raise DataError(
                    f"{self.path}:{message.line}: is {(passed_ns - message.ns) / 1e9:.6f} s older than a line that "
                    f"stands more than {len(held):,} line(s) before it; {remedy} the file by time"
                )
            heapq.heappush(held, message)
            size += len(message.payload)
            while len(held) > (self.window or 0) or size > WINDOW_BYTES:
                first = heapq.heappop(held)
                size -= len(first.payload)
                passed_ns = first.ns
                yield first
        while held:
            yield heapq.heappop(held)

    def _in_order_of_file(self) -> Iterator[Message]:
        without_time: list[Message] = []
        last_ns: int | None = None
        for number, line in self._lines():
            try:
                found = self.layout.read(line, self.now_ns)
            except ValueError as error:
                raise DataError(f"{self.path}:{number}: {error}") from None
            if found is None:
                self.left_out += 1
                continue
            ns = found.ns if found.ns is not None else last_ns
            if found.ns is None:
                self._require_carried(number, len(without_time))
            if ns is None:
                without_time.append(Message(0, number, found.message))
                continue
            if self.window is None and last_ns is not None:
                ns = max(ns, last_ns)
            last_ns = ns
            yield from (message._replace(ns=ns) for message in without_time)
            without_time.clear()
            yield Message(ns, number, found.message)
        if without_time:
            raise DataError(f"{self.path}: no line has a time; name its field with --time-field")

    def _require_carried(self, number: int, waiting: int) -> None:
        """Raise DataError where a line may not be without a time."""
        names = " or ".join(f"`{path}`" for path in self.layout.time_fields)
        if not self.carry_time:
            raise DataError(
                f"{self.path}:{number}: has no time in {names}; name its field with --time-field, or give it the time "
                "of the line before it with --carry-time"
            )
        if waiting >= MOST_WITHOUT_TIME:
            raise DataError(f"{self.path}:{number}: neither it nor a line before it has a time in {names}")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not blank, each with its number and without its newline.

        A byte order mark, with which editors on Windows begin a file, belongs to no line.
        """
        number = 0
        with _opened(self.path) as file:
            blocks = whole_lines(_content(file, self.path), self.path, LONGEST_LINE)
            rest = b""
            while True:
                try:
                    block = next(blocks)
                except StopIteration as end:
                    rest = end.value
                    break
                if not number:
                    block = block.removeprefix(codecs.BOM_UTF8)
                for line in split(block):
                    number += 1
                    if not line.isspace():
                        yield number, line[:-1]
            if not number:
                rest = rest.removeprefix(codecs.BOM_UTF8)
            if rest and not rest.isspace():
                yield number + 1, rest
            self.sha256 = file.digest.hexdigest()


class _HashedFile(io.FileIO):
    """A file that keeps the SHA-256 of what is read of it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.digest = hashlib.sha256()

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self.digest.update(data)
        return data


def _opened(path: Path) -> _HashedFile:
    try:
        return _HashedFile(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _content(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Return the content of a file, decompressed, in pieces that may end anywhere."""
    beginning = os.pread(file.fileno(), len(_ZSTD), 0)
    if beginning == _ZSTD:
        return decompressed(file, path)
    if beginning.startswith(_GZIP):
        return unzipped(file, path)
    return plain(file)


def merged(sources: Sequence[Source]) -> Iterator[tuple[Message, Source]]:
    """Yield the messages of all sources in the order of time; of two of one time, the earlier source's comes first.

    A file stays open only from its first time to its last. So files of many hours need few descriptors and little
    memory.
    """
    begins = [(ns, number) for number, source in enumerate(sources) if (ns := source.begins_ns()) is not None]
    waiting = sorted(begins, reverse=True)
    streams: dict[int, Iterator[Message]] = {}
    heads: list[tuple[int, int, Message]] = []
    while waiting or heads:
        if waiting and (not heads or waiting[-1] < heads[0][:2]):
            _, number = waiting.pop()
            streams[number] = sources[number].messages()
        else:
            _, number, message = heapq.heappop(heads)
            yield message, sources[number]
        following = next(streams[number], None)
        if following is not None:
            heapq.heappush(heads, (following.ns, number, following))
        else:
            del streams[number]
