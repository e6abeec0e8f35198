"""Reads the data of a day, plain, compressed or in Parquet, in blocks of whole lines and with little memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from ssmd import extras
from ssmd.errors import DataError
from ssmd.store.inventory import bytes_on_disk, in_any_form
from ssmd.store.layout import PARQUET
from ssmd.store.line import LONGEST_LINE
from ssmd.store.on_demand import present

__all__ = ["BLOCK_BYTES", "LineBlocks", "decompressed", "plain", "unzipped", "whole_lines"]

BLOCK_BYTES = 128 * 1024
"""About how long a block is: it fits into a processor's cache. A block with a longer line is as long as that line."""

_COMPRESSED_BYTES = 32 * 1024
"""How much of a .zst file is decompressed at once; text becomes about ten times as long."""

_CLOSE_BYTES = 1024
"""How much is decompressed at once when the damage of a file is close, before it is done byte by byte."""


class LineBlocks:
    """Iterates over the whole lines of one file, in blocks of about BLOCK_BYTES that each end in a newline.

    When the file is gone, as after compaction, another form of the same day is read. A file that is still being written
    is read up to the end that it has by then. Iterate only once. Raises DataError, naming the file, for what cannot be
    read: no permission, or compressed data that is damaged or cut off. With `partial` the iteration ends there instead.
    `form`: that of a file whose name does not say it yet; then no other form is read.
    """

    def __init__(self, path: Path, *, partial: bool = False, form: str | None = None) -> None:
        self._path = path
        self._partial = partial
        self._form = form
        self.broken: str | None = None
        """After the last block, with `partial`: why the rest could not be read; None when everything was read."""
        self.torn = b""
        """After the last block: what follows the last newline, the beginning of a line that is not whole."""
        self.bytes_read = 0
        """How many bytes of the file itself, compressed or not, have been read; for showing progress."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._blocks()
        except DataError as error:
            if not self._partial:
                raise
            self.broken = str(error)

    def _blocks(self) -> Iterator[bytes]:
        self.torn = yield from whole_lines(self._pieces(), self._path, LONGEST_LINE)

    def _pieces(self) -> Iterator[bytes]:
        """Yield the content, decompressed, in pieces that may end anywhere."""
        opened = self._open(self._path) if self._form is not None else in_any_form(self._path, self._open)
        if isinstance(opened, Path):
            yield from self._of_parts(opened)
            return
        with opened as file:
            path = Path(file.name)
            form = self._form or path.name
            pieces = plain(file)
            if form.endswith(".zst"):
                pieces = decompressed(file, path)
            elif form.endswith(".gz"):
                pieces = unzipped(file, path)
            for data in pieces:
                self.bytes_read = os.lseek(file.fileno(), 0, os.SEEK_CUR)
                yield data

    def _open(self, path: Path) -> FileIO | Path:
        """Open a file. A folder of parts is returned, when it is there."""
        if (self._form or path.suffix[1:]) != PARQUET:
            return open(present(path), "rb", buffering=0)
        present(path).stat()
        return path

    def _of_parts(self, folder: Path) -> Iterator[bytes]:
        lines = extras.PARQUET.load("ssmd.parquet.lines", str(folder))
        size = bytes_on_disk(folder)

        def advance(share: float) -> None:
            self.bytes_read = int(size * share)

        yield from lines.lines_in(folder, advance)
        self.bytes_read = size


def whole_lines(pieces: Iterable[bytes], path: Path, longest: int) -> Generator[bytes, None, bytes]:
    """Yield the content of a file, which comes in pieces that end anywhere, in blocks that each end in a newline.

    Returns what follows the last newline. Raises DataError, naming `path`, for what cannot be read, and for a line of
    more than `longest` bytes.
    """
    rest: list[bytes] = []
    size = 0
    try:
        for data in pieces:
            end = data.rfind(b"\n") + 1
            if end == 0:
                rest.append(data)
                size += len(data)
                if size > longest:
                    raise DataError(f"{path}: holds a line of more than {longest} bytes")
                continue
            yield b"".join([*rest, data[:end]]) if rest or end != len(data) else data
            rest = [data[end:]] if end != len(data) else []
            size = len(data) - end
    except (OSError, EOFError, zlib.error) as error:
        reason = "it is cut off" if isinstance(error, EOFError) else getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: cannot be read: {reason}") from None
    return b"".join(rest)


def plain(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a file from its current position on, in pieces that may end anywhere."""
    while data := file.read(BLOCK_BYTES):
        yield data


def unzipped(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the content of a .gz file, in pieces that may end anywhere. Raises OSError, EOFError and zlib.error."""
    with gzip.GzipFile(fileobj=file) as text:
        # read1() returns what it has. If the file is cut off, read() would raise and lose what comes before the end.
        while data := text.read1(BLOCK_BYTES):
            yield data
    if not file.tell():
        raise DataError(f"{path}: cannot be read: it is empty, not a .gz file")


def decompressed(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the content of a .zst file from its current position on, in pieces that may end anywhere.

    Raises DataError, naming `path`, after all that could be decompressed. It goes frame by frame, because the library's
    own stream reader takes a file that was cut off for a whole one, and ignores what follows the first frame.
    """
    import zstandard

    decompressor = zstandard.ZstdDecompressor()
    frame = None
    frame_start, frame_size = file.tell(), 0  # Where the frame begins, and how much of it was decompressed.
    gathered: list[bytes] = []
    size = 0
    wrong = "it is empty, not a .zst file"
    try:
        while compressed := file.read(_COMPRESSED_BYTES):
            wrong = ""
            while compressed:
                frame = frame or decompressor.decompressobj()
                data = frame.decompress(compressed)
                gathered.append(data)
                size += len(data)
                frame_size += len(data)
                compressed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
                if frame is None:
                    frame_start, frame_size = file.tell() - len(compressed), 0
            if size >= BLOCK_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
    except zstandard.ZstdError as error:
        wrong = str(error)
        gathered += _before_damage(file, frame_start, frame_size)
    else:
        if frame is not None:
            wrong = "it is cut off"
    if last := b"".join(gathered):
        yield last
    if wrong:
        raise DataError(f"{path}: cannot be read: {wrong}")


def _before_damage(file: BinaryIO, frame_start: int, known: int) -> Iterator[bytes]:
    """Yield the content of a damaged frame up to the damage, without its first `known` bytes.

    A read that meets the damage returns nothing, so the reads become smaller.
    """
    import zstandard

    for size in (_CLOSE_BYTES, 1):
        file.seek(frame_start)
        reader = zstandard.ZstdDecompressor().stream_reader(file, closefd=False)
        rest = known
        with contextlib.suppress(zstandard.ZstdError):
            while rest and (data := reader.read(min(rest, BLOCK_BYTES))):
                rest -= len(data)
            while data := reader.read(size):
                known += len(data)
                yield data
