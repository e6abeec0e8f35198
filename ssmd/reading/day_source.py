"""One day's lines, read while they are written: only whole lines that are durable, from a place between two of them."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Protocol

from ssmd.errors import DataError, WriteError
from ssmd.reading.blocks import LineBlocks
from ssmd.store.durable import explain
from ssmd.store.head import TS
from ssmd.store.inventory import looking
from ssmd.store.layout import data_path, forms_of, manifest_path
from ssmd.store.manifest_file import read_manifest
from ssmd.store.torn import end_of_whole_lines

__all__ = ["DaySource", "PackedDay", "PlainDay", "open_day"]

_CHUNK = 1024 * 1024
_CANNOT_SYNC = (errno.EROFS, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM)
"""The errors where a file cannot be synced at all, such as on a file system that is mounted to be read only."""

_log = logging.getLogger("ssmd.follow")


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


class PlainDay:
    """A file that may still grow. What is removed or compressed meanwhile can still be read to its end.

    What follows the last line that can be read back is never looked at twice as if it stayed: the next start sets it
    aside, and writes other lines in its place. So the end of the whole lines is searched for first, then the file is
    synced, and only what is before that end is read.
    """

    _cannot_sync = False

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._end = 0
        self._looked: tuple[int, int] | None = None
        self._found = 0

    def look(self) -> bool:
        status = os.fstat(self._fd)
        self._require_size(status.st_size)
        if self._looked != (status.st_size, status.st_mtime_ns):
            known = self._found if self._found <= status.st_size else self._end
            with looking(self.path):
                self._found = end_of_whole_lines(self._fd, status.st_size, known)
            self._looked = status.st_size, status.st_mtime_ns
        return self._found > self._end

    def _require_size(self, size: int) -> None:
        if size < self._end:
            raise DataError(
                f"{self.path}: has {size:,} bytes, and {self._end:,} were there before: somebody has cut it off; "
                "nothing but ssmd may change it"
            )

    def sync(self) -> None:
        try:
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._fd)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise WriteError(f"{self.path}: sync failed: {explain(error)}") from None
            if not PlainDay._cannot_sync:
                PlainDay._cannot_sync = True
                _log.warning(
                    "cannot sync, so lines are handed out that a power failure may take",
                    extra={"file": str(self.path), "error": error.strerror},
                )
        self._end = self._found

    def read(self, offset: int, most: int) -> bytes:
        while True:
            size = max(0, min(most, self._end - offset))
            with looking(self.path):
                data = os.pread(self._fd, size, offset)
            if len(data) < size:
                self._require_size(os.fstat(self._fd).st_size)
            end = data.rfind(b"\n") + 1
            if end or not data:
                return data[:end]
            most *= 4

    def bytes_after(self, offset: int) -> int:
        return max(0, self.end() - offset)

    def end(self) -> int:
        self.look()
        return self._found

    def peek(self, offset: int) -> bytes:
        with looking(self.path):
            return os.pread(self._fd, TS.stop, offset)

    def lines_before(self, offset: int, known: tuple[int, int]) -> int | None:
        if offset > self.end():
            return None
        at, lines = known
        last = b"\n"
        with looking(self.path):
            while at < offset and (data := os.pread(self._fd, min(_CHUNK, offset - at), at)):
                at += len(data)
                lines += data.count(b"\n")
                last = data[-1:]
        return lines if last == b"\n" else None

    def is_current(self) -> bool:
        # A file that is gone is still read through its descriptor; it may have been compressed meanwhile.
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return True

    def close(self) -> None:
        os.close(self._fd)


class PackedDay:
    """A compressed file. It is whole and durable, and read from its beginning whatever is wanted of it."""

    def __init__(self, path: Path, stem: str) -> None:
        self.path = path
        self._plain = data_path(path.parent, stem)
        self._manifest = manifest_path(path.parent, stem)
        self._rewind()

    def _rewind(self) -> None:
        self._blocks = iter(LineBlocks(self.path))
        self._block = b""
        self._start = self._lines = 0
        """Where the block begins, in bytes and in lines."""

    def read(self, offset: int, most: int) -> bytes:
        if offset < self._start:
            self._rewind()
        while self._start + len(self._block) <= offset:
            if not self._next():
                return b""
        return self._block[offset - self._start :]

    def _next(self) -> bool:
        """Go on to the next block; return False, and stay, at the end."""
        block = next(self._blocks, b"")
        if block:
            self._start += len(self._block)
            self._lines += self._block.count(b"\n")
            self._block = block
        return bool(block)

    def look(self) -> bool:
        return False

    def sync(self) -> None:
        pass

    def end(self) -> int:
        while self._next():
            pass
        return self._start + len(self._block)

    def peek(self, offset: int) -> bytes:
        return self.read(offset, 1)[: TS.stop]

    def bytes_after(self, offset: int) -> int:
        try:
            manifest = read_manifest(self._manifest)
        except DataError:
            manifest = None
        # Without a manifest only the end of the block that was decompressed last is known.
        end = manifest.bytes if manifest is not None else self._start + len(self._block)
        return max(0, end - offset)

    def lines_before(self, offset: int, known: tuple[int, int]) -> int | None:
        if offset < self._start:
            self._rewind()
        while self._start + len(self._block) < offset:
            if not self._next():
                return None
        before = self._block[: offset - self._start]
        return self._lines + before.count(b"\n") if before.endswith(b"\n") or not offset else None

    def is_current(self) -> bool:
        # Somebody may have unpacked the day, so that a collector can go on with it.
        return not self._plain.exists()

    def close(self) -> None:
        pass
