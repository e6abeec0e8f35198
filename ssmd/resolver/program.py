"""The files that the system needs to start a program."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

__all__ = ["touch"]

_FIRST_LINE = 256
"""How many bytes of a script Linux reads to find its interpreter: execve(2)."""
_MOST_INTERPRETERS = 5
"""How many scripts may be interpreters of one another: execve(2)."""


def touch(program: str, path: str) -> None:
    """Read the beginning of a program, and of its interpreter if it is a script. `path`: the folders of PATH.

    On a network file system without its server it never returns, and neither would the start of the program, which
    nothing could end: callers use disk_in_time(). What cannot be read is passed over, since the start says why.
    """
    found = shutil.which(program, path=path)
    for _ in range(_MOST_INTERPRETERS):
        if found is None:
            return
        found = _interpreter(found)


def _interpreter(program: str) -> str | None:
    """Return the interpreter of a script; None for other programs."""
    first = b""
    with suppress(OSError):
        descriptor = os.open(program, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            first = os.read(descriptor, _FIRST_LINE)
        finally:
            os.close(descriptor)
    words = first.partition(b"\n")[0].removeprefix(b"#!").split()
    return os.fsdecode(words[0]) if first.startswith(b"#!") and words and b"\0" not in words[0] else None
