"""The buffer between the socket and the frame reader: each read of the socket is stamped at once, and worked on later.

At low rates a message costs little, and the wake-up for it much: whatever runs then is no longer in the CPU's cache. So
a wake-up only reads and takes the time. What was read is handed over at once when nothing was for GATHER_SECONDS, and
otherwise together with what comes until then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import websocket

from ssmd.connector.coalescing import Pauses

__all__ = ["BUFFER_BYTES", "GATHER_SECONDS", "ReadBuffer"]

BUFFER_BYTES = 64 * 1024
"""The size of the buffer, and the most that one socket read takes. Larger buffers were measured to be slower: they do
not fit into the CPU's cache."""

GATHER_SECONDS = 0.01
"""What was read is handed over about once in this time."""

ENOUGH_BYTES = BUFFER_BYTES * 3 // 4
"""With so much in the buffer it is handed over at once."""

FAIRNESS_SECONDS = 0.004
"""How long the reading may go on before other greenlets get their turn."""

LARGE_BYTES = BUFFER_BYTES // 4
"""After a read of so much there is probably more."""

EMPTY_SECONDS = 0.0003
"""For so long after a smaller read, nothing is expected to be there."""

_monotonic = time.monotonic
_Closed = websocket.WebSocketConnectionClosedException


class ReadBuffer:
    """The bytes from `start` to `end` of the buffer have arrived and are not taken yet. Not for threads.

    `coalesce_seconds`: see coalescing.py.
    """

    def __init__(self, coalesce_seconds: float) -> None:
        self.buffer = bytearray(BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self.start = self.end = 0
        self.stamps: deque[tuple[int, int]] = deque()
        """For each read that is not wholly taken: where it ends in the buffer, and its time."""
        self.clock: Callable[[], int] = time.time_ns
        """Returns the time of a read, ns since the epoch."""
        self._turn_at = 0.0
        """When other greenlets had their turn, seconds of the monotonic clock."""
        self._pauses = Pauses(coalesce_seconds, LARGE_BYTES)
        self._due = 0.0
        """From when on a read is handed over at once, seconds of the monotonic clock."""
        self._failure: Exception | None = None
        """What has ended the reading; raised after all that was read before."""
        self._sock: Any = None
        self._is_first = False
        """Whether the next read is the first that is not handed over."""
        self._is_large = False
        """Whether the last read was so large that there is probably more."""
        self.read_at = 0.0
        """When the last read was, seconds of the monotonic clock."""

    def gather(self, sock: Any, until: float) -> None:
        """Read once and, unless nothing was handed over for GATHER_SECONDS, until something is due to be.

        Call it when all reads are taken, except for the beginning of a frame. `until`: how long to wait for the first
        read, seconds of the monotonic clock. Raises TimeoutError, WebSocketConnectionClosedException and OSError, after
        what has arrived before.
        """
        rest = self.end - self.start
        if self.start:
            self.view[:rest] = self.view[self.start : self.end]
            self.start, self.end = 0, rest
        self._fill(sock, until)
        is_enough = self.end >= ENOUGH_BYTES or self._failure is not None or self._pauses.is_long
        if not is_enough and _monotonic() < self._due:
            self._fill(sock)
        self._due = self.read_at + GATHER_SECONDS

    def read(self, sock: Any, until: float) -> None:
        """Read once, into the empty buffer; the arguments and errors are those of gather()."""
        self.start = self.end = 0
        self.stamps.clear()
        self._fill(sock, until)

    def hurry(self) -> None:
        """Hand the next read over at once."""
        self._due = 0.0

    def _fill(self, sock: Any, until: float | None = None) -> None:
        """Wait for the first read, until the time `until`, and return after it; with None, read on until it is time to
        work on what was read. Raises what gather() raises, when nothing was read before.
        """
        if self._failure is not None:
            raise self._failure
        if self._pauses.is_long:
            self._pauses.pause()
        self._sock = sock
        self._is_first = not self.stamps
        if not (self._may_have_more() and self._read_some()) and self._failure is None:
            read = self._read_some
            is_done = sock.wait_briefly(read) if until is None else sock.wait_while(until, read)
            # After the time has passed, one more look: this process may have been stopped, and something has come.
            if not is_done and not read() and not self.stamps:
                raise TimeoutError
            self._turn_at = _monotonic()
        if self._failure is not None and not self.stamps:
            raise self._failure

    def _may_have_more(self) -> bool:
        return self._is_large or _monotonic() - self.read_at > EMPTY_SECONDS

    def _read_some(self) -> bool:
        """Read what has arrived, with pauses where they are due; return whether it is time to work on it.

        It never waits for the socket: the event loop calls it.
        """
        pauses, stamps = self._pauses, self.stamps
        began = now = _monotonic()
        while now - began < FAIRNESS_SECONDS:
            if pauses.due:
                if pauses.is_long:
                    return True  # The event loop must not wait so long: the greenlet does.
                pauses.pause()
            view = self.view[self.end :]
            try:
                size = self._sock.recv_now(view)
            except BlockingIOError:
                self._is_large = False
                return False
            except (OSError, ValueError) as error:
                self._failure = error
                return True
            if not size:
                self._failure = _Closed("the connection ended without a close frame")
                return True
            self.end += size
            stamps.append((self.end, self.clock()))
            now = self.read_at = _monotonic()
            pauses.learn(size, now)
            self._is_large = size >= LARGE_BYTES or size == len(view)
            if self._is_first or now >= self._due or self.end >= ENOUGH_BYTES:
                return True
            if not pauses.due:
                break
        return False

    def let_others_run(self, now: float) -> float:
        """Give other greenlets their turn if that is due; return the time after that. `now`: of the monotonic clock."""
        if now - self._turn_at > FAIRNESS_SECONDS:
            # While a socket always has data, the reading never waits, and other greenlets would starve. sleep(0) is not
            # enough: gevent runs many such callbacks before it looks at its sockets again.
            gevent.sleep(1e-6)
            now = self._turn_at = _monotonic()
        return now
