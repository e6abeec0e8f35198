"""Repair of a file whose writer was killed, or lost its power, in the middle of a line."""

from __future__ import annotations

import os
from pathlib import Path

from ssmd.envelope import decode_line

__all__ = ["set_torn_tail_aside", "sync_directory"]

_CHUNK = 1024 * 1024


def set_torn_tail_aside(path: Path) -> int:
    """Move everything after the last whole line of `path` to `<path>.torn`; return how many bytes.

    A kill leaves part of a line. Power loss can also leave a run of NUL bytes, even with a newline behind
    it. The sidecar is durable before the file is cut, so no byte is lost wherever this is interrupted; it
    may then hold them twice. Raises OSError.
    """
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        whole = _end_of_last_whole_line(file.fileno(), size)
        if whole == size:
            return 0
        sidecar = path.with_name(path.name + ".torn")
        with open(sidecar, "ab") as aside:
            file.seek(whole)
            while chunk := file.read(_CHUNK):
                aside.write(chunk)
            aside.write(b"\n")  # The next incident begins on a line of its own.
            aside.flush()
            os.fsync(aside.fileno())
        sync_directory(path.parent)
        file.truncate(whole)
        os.fsync(file.fileno())
    return size - whole


def _end_of_last_whole_line(fd: int, size: int) -> int:
    """The offset behind the last line that ends in a newline and that ssmd can read back; 0 without any."""
    end = _after_newline(fd, size)
    while end:
        start = _after_newline(fd, end - 1)
        try:
            decode_line(os.pread(fd, end - start, start))
        except ValueError:
            end = start
        else:
            return end
    return 0


def _after_newline(fd: int, end: int) -> int:
    """The offset just behind the last newline before `end`; 0 when there is none."""
    while end:
        start = max(0, end - _CHUNK)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
