"""A thread that writes the lines of the log, since who writes to a stuck disk or a full pipe may wait for ever.

It is a native thread, with native parts: gevent's would be a greenlet, and block with all the others. gevent's
threadpool is no place for it either, whose threads the stuck disk may hold up already.
"""

from __future__ import annotations

import errno
import os

from gevent import monkey

__all__ = ["LINES", "LINES_BYTES", "LineThread"]

LINES, LINES_BYTES = 1000, 1_000_000
"""How much may wait to be written before there is no room for more."""

END_SECONDS = 1.0
"""How long the end waits for the rest: a log must not hold up an exit code."""

RETRY_SECONDS = 0.1
"""How long it lasts until a line is tried again that was refused, as by a full disk."""

_NEVER = (errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.EINVAL, errno.EMSGSIZE)
"""With these the same line will be refused every time."""

_allocate_lock, _start_new_thread = monkey.get_original("_thread", ["allocate_lock", "start_new_thread"])
_SimpleQueue = monkey.get_original("_queue", "SimpleQueue")
_sleep = monkey.get_original("time", "sleep")


class LineThread:
    """Writes lines, whole and in order, to a file descriptor; to logging it is a stream.

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
        """The thread writes without being asked."""

    def end(self) -> bool:
        """Take no more lines, and wait for the rest, but not for long; tell whether all of them are done with."""
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
        """A line that was begun is not given up for what may pass: the next would be joined to its torn end."""
        while line:
            try:
                line = line[os.write(self._fd, line) :]
            except OSError as error:
                if error.errno in _NEVER:
                    return
                _sleep(RETRY_SECONDS)
