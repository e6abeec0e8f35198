"""Standard output and standard error that wait for their reader, also when they are non-blocking."""

from __future__ import annotations

import io
import select
from typing import Any

from gevent import monkey

__all__ = ["waiting"]

_poll = monkey.get_original("select", "poll")  # gevent's own would start its loop, which most commands do without.


def waiting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream like this one that waits where this one raises BlockingIOError. Raises OSError for one without a file.

    A pipe or a terminal is non-blocking when any process that shares it has made it so. It is left as it is, because
    the others would find it blocking too.
    """
    file = _WaitingFile(stream)
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        # What Python is asked not to buffer at all (PYTHONUNBUFFERED) is written line by line.
        line_buffering=stream.line_buffering or stream.write_through,
    )


class _WaitingFile(io.FileIO):
    """The file of a stream. Its write() takes at least one byte."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(stream.fileno(), "wb", closefd=False)
        self._stream = stream  # A stream that nobody holds any more would close the file.

    def write(self, data: Any) -> int:
        while (written := super().write(data)) is None:
            poll = _poll()
            poll.register(self.fileno(), select.POLLOUT)
            poll.poll()
        return written
