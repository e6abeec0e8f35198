"""A thread that writes the lines of the log, because a write to a stuck disk or a full pipe may block for ever.

It is a native thread, with native locks: a thread of gevent's would be a greenlet, and block with all the others. The
threads of gevent's threadpool may already be blocked by the same stuck disk.
"""

from __future__ import annotations

import errno
import os

from ssmd.unpatched import unpatched

__all__ = ["LINES", "LINES_BYTES", "LineThread"]

LINES, LINES_BYTES = 1000, 1_000_000
"""How much may wait to be written; beyond that has_room() is false."""

END_SECONDS = 1.0
"""How long end() waits for the rest: a log must not delay the end of the process."""

RETRY_SECONDS = 0.1
"""The pause before a line that was refused, by a full disk for example, is tried again."""

_NEVER = (errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.EINVAL, errno.EMSGSIZE)
"""With these errors the same line would be refused every time."""

_allocate_lock = unpatched("_thread", "allocate_lock")
_start_new_thread = unpatched("_thread", "start_new_thread")
_SimpleQueue = unpatched("_queue", "SimpleQueue")
_sleep = unpatched("time", "sleep")


class LineThread:
    """Writes lines, whole and in order, to a file descriptor; logging uses it as a stream.

    It shares no lock with anything else that writes there, and each of its counters is changed by one side only.
    """

    def __init__(self, fd: int, encoding: str, errors: str | None) -> None:
        self._fd = fd
        self._encoding, self._errors = encoding, errors or "strict"
        self._lines = _SimpleQueue()
        self._taken = self._written = 0
        self._open = True
        self._working = _allocate_lock()
        self._working.acquire()
        _start_new_thread(self._work, ())

    def has_room(self) -> bool:
        return self._open and self._lines.qsize() < LINES and self._taken - self._written < LINES_BYTES

    def write(self, text: str) -> None:
        line = text.encode(self._encoding, self._errors)
        self._taken += len(line)
        self._lines.put(line)

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def end(self) -> bool:
        """Accept no more lines, wait a while for the rest, and return whether all are written or given up."""
        self._open = False
        self._lines.put(None)
        ended: bool = self._working.acquire(timeout=END_SECONDS)
        return ended

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write(line)
            self._written += len(line)
        self._working.release()

    def _write(self, line: bytes) -> None:
        """Write a whole line. One that is begun is tried again, or the next line would be joined to its torn end."""
        while line:
            try:
                line = line[os.write(self._fd, line) :]
            except OSError as error:
                if error.errno in _NEVER:
                    return
                _sleep(RETRY_SECONDS)
