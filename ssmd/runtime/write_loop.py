"""The greenlet that writes: it takes the batches that the reader has queued, and gives them to the writer."""

from __future__ import annotations

import time

from ssmd.contracts.writer import Writer
from ssmd.runtime.queue import BatchQueue
from ssmd.runtime.status import Status

__all__ = ["WRITE_BYTES", "WriteLoop"]

WRITE_BYTES = 1024 * 1024
"""How much of the queue goes into one write, so that a slow disk gets few large writes rather than many small ones."""


class WriteLoop:
    """Writes what is queued; run() is the greenlet's whole life."""

    def __init__(self, queue: BatchQueue, writer: Writer, status: Status) -> None:
        self._queue = queue
        self._writer = writer
        self._status = status

    def run(self) -> None:
        """Write until the queue is closed and empty. Raises WriteError."""
        queue, writer = self._queue, self._writer
        while True:
            queue.wait()
            has_written = self._write_some()
            queue.wake_in(writer.sync())  # Each time: a busy feed may never let the queue run empty.
            if queue.closed and not has_written:
                return

    def _write_some(self) -> bool:
        """Write the oldest batches; return False when there are none.

        This is a function of its own so that no variable keeps a batch that is written: it may have 16 MiB and more.
        """
        batches = self._queue.take(WRITE_BYTES)
        if not batches:
            return False
        self._status.write_began = time.monotonic()
        for batch in batches:
            self._writer.write(batch)
        self._writer.flush()
        self._status.write_began = None
        count = sum([batch.messages for batch in batches])
        self._queue.done()
        self._status.messages += count
        self._status.location = self._writer.location
        return True
