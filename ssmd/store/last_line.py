"""The last whole line of a data file, found from its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ssmd.store.head import received_ns

__all__ = ["LastLine", "last_received"]

_TAIL = 64 * 1024


class LastLine(NamedTuple):
    """The last whole line of a file."""

    ns: int
    """When it was received."""
    whole: int
    """Its end, in bytes from the beginning of the file."""


def last_received(path: Path) -> LastLine | None:
    """Return the last whole line, None when there is no file or no line. A torn one may follow it. Raises OSError."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            length = _TAIL
            while True:
                start = max(0, size - length)
                *lines, torn = os.pread(file.fileno(), size - start, start).split(b"\n")
                if len(lines) > 1 or not start:
                    break
                length *= 16
    except FileNotFoundError:
        return None
    try:
        return LastLine(received_ns(lines[-1]), size - len(torn))
    except (IndexError, ValueError):
        return None
