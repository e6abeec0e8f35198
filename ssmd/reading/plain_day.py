"""The lines of a day in a plain file, which may still grow."""

from __future__ import annotations

import errno
import functools
import logging
import os
from pathlib import Path

from ssmd.errors import DataError, WriteError
from ssmd.store.durable import explain, sync_data
from ssmd.store.head import TS
from ssmd.store.inventory import looking
from ssmd.store.torn import end_of_whole_lines

__all__ = ["PlainDay"]

_CHUNK = 1024 * 1024
_TAIL = 64 * 1024
"""How much is read at first to find the beginning of a line from its end."""
_CANNOT_SYNC = (errno.EROFS, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM)
"""The errors where a file cannot be synced at all, such as on a file system that is mounted to be read only."""

_log = logging.getLogger("ssmd.follow")


@functools.cache
def _note_no_sync(path: Path, reason: str) -> None:
    """Log once that a file cannot be synced."""
    _log.warning(
        "cannot sync, so lines are handed out that a power failure may take",
        extra={"file": str(path), "error": reason},
    )


class PlainDay:
    """Keeps the DaySource contract of reading/day_source.py. A file that is removed, or compressed, meanwhile is still
    read to its end.

    What follows the last line that can be read back may not stay: the next start sets it aside, and writes other lines
    in its place. So the end of the whole lines is searched for first, then the file is synced, and only what is before
    that end is read.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._found = self._end = 0
        """Where the last whole line ends that was found; and the last one that is durable."""
        self._looked: tuple[int, int] | None = None
        """The size and the time of the file when it was looked for."""

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
            sync_data(self._fd)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise WriteError(f"{self.path}: sync failed: {explain(error)}") from None
            _note_no_sync(self.path, error.strerror)
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

    def line_before(self, offset: int) -> bytes:
        size = _TAIL
        with looking(self.path):
            while True:
                start = max(0, offset - size)
                data = os.pread(self._fd, offset - start, start)
                begin = data.rfind(b"\n", 0, -1) + 1
                if begin or not start:
                    return data[begin:]
                size *= 4

    def is_current(self) -> bool:
        # A file that is gone is still read through its descriptor; it may have been compressed meanwhile.
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return True

    def close(self) -> None:
        os.close(self._fd)
