"""The queue between the reader and the writer, bounded in bytes."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable

from gevent.event import Event

from ssmd.runtime.interfaces import Batch

__all__ = ["MESSAGE_BYTES", "BatchQueue"]


MESSAGE_BYTES = 128
PACE_BYTES = 1024 * 1024
PACE_SECONDS = 0.002
"""With so much in the queue the reader gives way to the writer, for so long at the most. So a flood is handled piece
by piece, instead of being piled up in memory that is cold in the CPU's cache when it is written. To a slow disk these
waits make no difference."""
BLOCKED_SECONDS = 1.0
"""How often a wait for room is told of while it lasts."""


class BatchQueue:
    """One greenlet puts, one takes. What waits counts in bytes: 1000 messages can be 200 kB or 16 GB.

    For the bound each message counts MESSAGE_BYTES more, about what it takes in memory even if it is empty.
    A batch of notes alone counts nothing, and always finds room.
    A batch larger than the bound is let in when the queue is empty, so that nothing is ever refused.

    `blocked` is told the seconds that put() waits for room, as they pass: a wait without end must show too.
    """

    def __init__(self, max_bytes: int, blocked: Callable[[float], None] = lambda seconds: None) -> None:
        self._max_bytes = max_bytes
        self._blocked = blocked
        self._batches: deque[tuple[Batch, int, int]] = deque()
        """Each with its bytes, and with what it counts for the bound."""
        self._taken = 0
        self._weight = 0
        self._room = Event()
        self._news = Event()
        self.bytes = 0
        """Bytes of messages put and not yet done."""
        self.messages = 0
        self.closed = False

    def put(self, batch: Batch) -> int:
        """Add a batch; block while there is no room. Returns the bytes of its messages."""
        size = sum(map(len, batch.payloads))
        weight = size + MESSAGE_BYTES * len(batch.payloads)
        if weight and self._weight > PACE_BYTES and not self.closed:
            self._room.clear()
            self._room.wait(PACE_SECONDS)
        if self._full(weight):
            self._wait_for_room(weight)
        self._batches.append((batch, size, weight))
        self._weight += weight
        self.bytes += size
        self.messages += len(batch.payloads)
        self._news.set()
        return size

    def _wait_for_room(self, weight: int) -> None:
        told = time.monotonic()
        while self._full(weight):
            self._room.clear()
            self._room.wait(BLOCKED_SECONDS)
            now = time.monotonic()
            self._blocked(now - told)
            told = now

    def _full(self, weight: int) -> bool:
        return bool(self._batches and weight) and self._weight + weight > self._max_bytes and not self.closed

    def take(self, max_bytes: int) -> list[Batch]:
        """The oldest batches, up to so many bytes but at least one if there is any; never blocks.

        They count as queued until done(), so that what is being written stays within the bound.
        """
        taken: list[Batch] = []
        total = 0
        for batch, _, weight in self._batches:
            if taken and total + weight > max_bytes:
                break
            taken.append(batch)
            total += weight
        self._taken = len(taken)
        return taken

    def done(self) -> None:
        """What was taken last is written: make room."""
        for _ in range(self._taken):
            batch, size, weight = self._batches.popleft()
            self._weight -= weight
            self.bytes -= size
            self.messages -= len(batch.payloads)
        self._taken = 0
        self._room.set()

    def wait(self) -> None:
        """Block until there is a batch, or until wake() or close()."""
        if not self._batches and not self.closed:
            self._news.clear()
            self._news.wait()

    def wake(self) -> None:
        """Let the taker look around although nothing has come."""
        self._news.set()

    def lift(self) -> None:
        """There is no bound any longer: who waits for room has it."""
        self._max_bytes = sys.maxsize
        self._room.set()

    def close(self) -> None:
        """Nothing more will be waited for: neither wait() nor put() blocks any longer."""
        self.closed = True
        self._news.set()
        self._room.set()
