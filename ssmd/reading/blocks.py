"""A data file as blocks of whole lines, plain or compressed, in flat memory."""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from ssmd.errors import DataError
from ssmd.store.inventory import in_any_form
from ssmd.store.line import LONGEST_LINE

__all__ = ["BLOCK_BYTES", "LineBlocks", "unpacked"]

BLOCK_BYTES = 128 * 1024
"""About how long a block is, small enough for a processor's cache; one with a longer line is as long as that line."""

_COMPRESSED_BYTES = 32 * 1024
"""How much of a .zst file is decompressed at once; text becomes some ten times as long."""

_CLOSE_BYTES = 1024
"""How much of it at once near to where the file is damaged, before it is read byte by byte."""


class LineBlocks:
    """Iterates over the whole lines of one file, in blocks of about BLOCK_BYTES that each end in a newline.

    A day's file that is gone is looked for in its other forms. One that is being written is read as far as it goes
    when its end is met. Iterate once. Raises DataError, naming the file, for what cannot be read: no permission, a
    damaged or cut-off compression. `partial`: what comes before that is enough.
    """

    def __init__(self, path: Path, *, partial: bool = False) -> None:
        self._path = path
        self._partial = partial
        self.broken: str | None = None
        """After the last block: why that is not all; only when it is `partial`."""
        self.torn = b""
        """After the last block: what follows the last newline, the beginning of a line that is not whole."""
        self.bytes_read = 0
        """How much of the file itself, compressed or not, is read so far; for showing progress."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._blocks()
        except DataError as error:
            if not self._partial:
                raise
            self.broken = str(error)

    def _blocks(self) -> Iterator[bytes]:
        rest: list[bytes] = []
        size = 0
        try:
            for data in self._pieces():
                end = data.rfind(b"\n") + 1
                if end == 0:
                    rest.append(data)
                    size += len(data)
                    if size > LONGEST_LINE:
                        raise DataError(f"{self._path}: holds a line of more than {LONGEST_LINE} bytes")
                    continue
                yield b"".join([*rest, data[:end]]) if rest or end != len(data) else data
                rest = [data[end:]] if end != len(data) else []
                size = len(data) - end
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{self._path}: cannot be read: {reason}") from None
        self.torn = b"".join(rest)

    def _pieces(self) -> Iterator[bytes]:
        """The content, decompressed, in pieces cut anywhere."""
        with in_any_form(self._path, _opened) as file:
            path = Path(file.name)
            pieces = _plain(file)
            if path.name.endswith(".zst"):
                pieces = unpacked(file, path)
            elif path.name.endswith(".gz"):
                pieces = _unzipped(file, path)
            for data in pieces:
                self.bytes_read = os.lseek(file.fileno(), 0, os.SEEK_CUR)
                yield data


def _opened(path: Path) -> FileIO:
    return open(path, "rb", buffering=0)


def _plain(file: BinaryIO) -> Iterator[bytes]:
    while data := file.read(BLOCK_BYTES):
        yield data


def _unzipped(file: BinaryIO, path: Path) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as text:
        # No more than one piece of it at a time: of a file that is cut off, what comes before the end is not lost.
        while data := text.read1(BLOCK_BYTES):
            yield data
    if not file.tell():
        raise DataError(f"{path}: cannot be read: it is empty, and no .gz file")


def unpacked(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The content of a .zst file from where it stands, in pieces cut anywhere; raises DataError, naming `path`.

    Frame by frame: the library's own stream reader takes a file that was cut off for a whole one, and what follows
    the first frame for nothing. What could be decompressed comes before the error.
    """
    import zstandard

    decompressor = zstandard.ZstdDecompressor()
    frame = None
    began, came = file.tell(), 0  # Where the frame begins, and how much of its content has come.
    gathered: list[bytes] = []
    size = 0
    wrong = "it is empty, and no .zst file"
    try:
        while compressed := file.read(_COMPRESSED_BYTES):
            wrong = ""
            while compressed:
                frame = frame or decompressor.decompressobj()
                data = frame.decompress(compressed)
                gathered.append(data)
                size += len(data)
                came += len(data)
                compressed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
                if frame is None:
                    began, came = file.tell() - len(compressed), 0
            if size >= BLOCK_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
    except zstandard.ZstdError as error:
        wrong = str(error)
        gathered += _before_damage(file, began, came)
    else:
        if frame is not None:
            wrong = "it is cut off"
    if last := b"".join(gathered):
        yield last
    if wrong:
        raise DataError(f"{path}: cannot be read: {wrong}")


def _before_damage(file: BinaryIO, began: int, known: int) -> Iterator[bytes]:
    """What the damaged frame that begins there holds behind so many bytes: of a read that fails nothing comes."""
    import zstandard

    for size in (_CLOSE_BYTES, 1):
        file.seek(began)
        reader = zstandard.ZstdDecompressor().stream_reader(file, closefd=False)
        rest = known
        with contextlib.suppress(zstandard.ZstdError):
            while rest and (data := reader.read(min(rest, BLOCK_BYTES))):
                rest -= len(data)
            while data := reader.read(size):
                known += len(data)
                yield data
