"""The output of a companion: reads it from pipes, a line at a time, until the process has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent import subprocess

__all__ = ["follow"]

_LONGEST_LINE = 64 * 1024
"""What a companion prints without a newline is read in pieces of this many bytes."""

_TURN_SECONDS, _PAUSE_SECONDS = 0.001, 0.004
"""How long lines are read in a row, and the pause after that. Reading a pipe that is never empty does not wait, so that
everything else would starve."""

_LAST_WORDS_SECONDS = 5.0
"""How long its output is read after its end. A process that it has started may hold the pipes open for ever."""


def follow(process: subprocess.Popen[bytes], *sources: tuple[Any, Callable[[bytes], object]]) -> int:
    """Hand each line of each file to its function until the process has ended; return its exit code."""
    readers = [gevent.spawn(_read, file, take) for file, take in sources]
    try:
        code: int = process.wait()
        gevent.joinall(readers, timeout=_LAST_WORDS_SECONDS)
    finally:
        gevent.killall(readers)
    return code


def _read(file: Any, take: Callable[[bytes], object]) -> None:
    """Hand each line to the function, until the file ends; then close it."""
    last_pause = time.monotonic()
    with file:
        while line := file.readline(_LONGEST_LINE):
            take(line)
            if time.monotonic() - last_pause > _TURN_SECONDS:
                gevent.sleep(_PAUSE_SECONDS)
                last_pause = time.monotonic()
