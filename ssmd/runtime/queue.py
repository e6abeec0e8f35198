"""The queue between the reader and the writer, bounded in bytes."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from ssmd.contracts.writer import Batch

__all__ = ["QUEUE_BYTES", "BatchQueue"]

QUEUE_BYTES = 64 * 1024 * 1024
"""The bound of a run's queue. So much may wait for the disk before the socket is no longer read: minutes of one busy
connection."""

PACE_BYTES = 512 * 1024
PACE_SECONDS = 0.002
"""With more than PACE_BYTES in the queue the reader lets the writer run, for at most PACE_SECONDS. So a flood is
handled piece by piece and does not pile up in memory. With a slow disk these waits make no difference."""
BATCH_BYTES = 256
NOTE_BYTES = 1024
"""The memory that a batch, and each of its notes, takes beyond its data. There may be a note at every line, for a gap
at every line."""
BLOCKED_SECONDS = 1.0
"""How often a wait for room is reported while it lasts."""


class BatchQueue:
    """One greenlet puts, one takes. The bound is in bytes of memory, because 1000 messages can be 200 kB or 16 GB.

    A batch of notes alone counts as 0 bytes, and always finds room. A batch larger than the bound is accepted when the
    queue is empty, so that nothing is ever refused.

    `blocked` is called with the seconds that put() waits for room, as they pass, so that an endless wait shows too.
    """

    def __init__(self, max_bytes: int, blocked: Callable[[float], None] = lambda seconds: None) -> None:
        self._max_bytes = max_bytes
        self._blocked = blocked
        self._batches: deque[Batch] = deque()
        self._taken = 0
        self._room = Event()
        self._hub: Any = gevent.get_hub()
        self._waiter: Any = None
        """The greenlet that waits for a batch. An Event of gevent's would do more than the write of a small batch."""
        self._timer: Any = None
        self.bytes = 0
        """The memory of the batches that are put and not yet done."""
        self.messages = 0
        self.awaited = False
        """Whether a batch of messages is on its way, or waits for room. What is put meanwhile comes before it, with
        a later time. Set by put() and, for a batch that takes long, by its sender."""
        self.closed = False

    def put(self, batch: Batch) -> None:
        """Add a batch; block while there is no room."""
        size = _weight(batch)
        if size and self.bytes > PACE_BYTES and not self.closed:
            self.awaited = True
            self._room.clear()
            self._room.wait(PACE_SECONDS)
        if self._full(size):
            self.awaited = True
            self._wait_for_room(size)
        if size:
            self.awaited = False
        self._batches.append(batch)
        self.bytes += size
        self.messages += batch.messages
        self.wake()

    def _wait_for_room(self, size: int) -> None:
        reported = time.monotonic()
        while self._full(size):
            self._room.clear()
            self._room.wait(BLOCKED_SECONDS)
            now = time.monotonic()
            self._blocked(now - reported)
            reported = now

    def _full(self, size: int) -> bool:
        return bool(self._batches and size) and self.bytes + size > self._max_bytes and not self.closed

    def take(self, max_bytes: int) -> list[Batch]:
        """Return the oldest batches, up to `max_bytes` but at least one if there is any; never blocks.

        They count as queued until done(), so that the bound covers what is being written. Notes without messages are
        not taken together with messages before them: the last notes of a run are written after a sync, which may never
        end, and then those messages would not count as written.
        """
        taken: list[Batch] = []
        total = 0
        for batch in self._batches:
            total += _weight(batch)
            if taken and (total > max_bytes or not batch.messages):
                break
            taken.append(batch)
        self._taken = len(taken)
        return taken

    def done(self) -> None:
        """Remove the batches that take() returned last, because they are written."""
        for _ in range(self._taken):
            batch = self._batches.popleft()
            self.bytes -= _weight(batch)
            self.messages -= batch.messages
        self._taken = 0
        self._room.set()

    def wait(self) -> None:
        """Block until there is a batch, or until wake() or close(); it may return early."""
        if not self._batches and not self.closed:
            self._waiter = gevent.getcurrent()
            try:
                self._hub.switch()
            finally:
                self._waiter = None

    def wake(self) -> None:
        """Let wait() return although no batch has come."""
        if self._waiter is not None:
            self._hub.loop.run_callback(self._go_on)

    def _go_on(self) -> None:
        if self._waiter is not None:
            self._waiter.switch()

    def wake_in(self, seconds: float | None) -> None:
        """Call wake() in so many seconds, or earlier; None for not at all."""
        if seconds is not None and (self._timer is None or not self._timer.active):
            self._stop_timer()
            self._timer = self._hub.loop.timer(seconds)
            self._timer.start(self.wake)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def lift(self) -> None:
        """Remove the bound: a put() that waits for room returns."""
        self._max_bytes = sys.maxsize
        self._room.set()

    def close(self) -> None:
        """Let neither wait() nor put() block any longer."""
        self.closed = True
        self._stop_timer()
        self.wake()
        self._room.set()


def _weight(batch: Batch) -> int:
    return len(batch.data) + BATCH_BYTES + NOTE_BYTES * len(batch.notes) if batch.data else 0
