"""A collector's file that takes little room: its lines are counted while it grows, and what was counted is freed."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from types import TracebackType

__all__ = ["Growing"]

PIECE_BYTES = 4 * 1024 * 1024
KEEP_SIZE, PUNCH_HOLE = 1, 2
"""Flags of fallocate(2)."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Growing:
    """The file; its size stays as it is, with a hole at its beginning. A context manager."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        self.lines = 0
        """Counted so far."""

    def __enter__(self) -> Growing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def count(self) -> None:
        """Count what is new, and free it. Raises OSError, also where the file system cannot free a part of a file."""
        while part := self._file.read(PIECE_BYTES):
            self.lines += part.count(b"\n")
            at = self._file.tell() - len(part)
            if _libc.fallocate(self._file.fileno(), PUNCH_HOLE | KEEP_SIZE, at, len(part)):
                raise OSError(ctypes.get_errno(), "the file system cannot free a part of a file; name another --dir")
            if len(part) < PIECE_BYTES:
                break  # The rest is counted the next time.

    def await_lines(self, lines: int, seconds: float) -> None:
        """Count until there are so many lines, for up to `seconds`."""
        until = time.monotonic() + seconds
        while self.lines < lines and time.monotonic() < until:
            self.count()
            time.sleep(0.01)
