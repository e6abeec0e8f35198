"""The last whole line of a data file, found from its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ssmd.store.head import received_ns
from ssmd.store.line import LONGEST_LINE

__all__ = ["LastLine", "last_received"]

_PIECE = 64 * 1024
"""It is searched in pieces of so many bytes: a line may take more memory than there is."""
_HEAD = 1024
"""So much of a line has its time."""


class LastLine(NamedTuple):
    """The last whole line of a file."""

    ns: int
    """When it was received."""
    whole: int
    """Its end, in bytes from the beginning of the file."""


def last_received(path: Path, longest: int = LONGEST_LINE) -> LastLine | None:
    """Return the last whole line, None when there is no file or no line. A torn one may follow it. Raises OSError.

    `longest`: in bytes. None also when the line, or what follows it, is longer: ssmd has not written that.
    """
    try:
        with open(path, "rb") as file:
            whole = _end_before(file.fileno(), file.seek(0, os.SEEK_END), longest)
            start = _end_before(file.fileno(), whole - 1, longest) if whole else None
            head = os.pread(file.fileno(), min(whole - start, _HEAD), start) if whole and start is not None else b""
    except FileNotFoundError:
        return None
    try:
        return LastLine(received_ns(head), whole) if whole else None
    except ValueError:
        return None


def _end_before(fd: int, size: int, longest: int) -> int | None:
    """Return the end of the last line within the first `size` bytes; 0 when none ends there, None when there may be one
    before the last `longest` bytes. Raises OSError.
    """
    stop = size
    while stop:
        if size - stop >= longest:
            return None
        start = max(0, size - longest, stop - _PIECE)
        found = os.pread(fd, stop - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0
