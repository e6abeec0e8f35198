"""Standard output and standard error that wait for their reader even when they are non-blocking."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["waiting"]


def waiting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream like this one that waits where this one raises BlockingIOError.

    Raises OSError for a stream without a file. A pipe or a terminal is non-blocking when any process that shares it has
    made it so. That is not changed here, because it would change for the other processes too.
    """
    file = _WaitingFile(stream)
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        # A stream without any buffer (PYTHONUNBUFFERED) is written line by line.
        line_buffering=stream.line_buffering or stream.write_through,
    )


class _WaitingFile(io.FileIO):
    """The file of a stream, whose write() waits until it has written at least one byte."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(stream.fileno(), "wb", closefd=False)
        self._stream = stream  # Without a reference the stream would be collected, and close the file.

    def write(self, data: Any) -> int:
        while (written := super().write(data)) is None:
            _wait(self.fileno())
        return written


def _wait(fd: int) -> None:
    """Wait until a file can be written to."""
    # Imported here: most commands run without gevent. Its own select() would start its event loop. On macOS poll() does
    # not work on terminals.
    from gevent import monkey

    monkey.get_original("select", "select")([], [fd], [])
