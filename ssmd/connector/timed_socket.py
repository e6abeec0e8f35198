"""A socket that waits without starting a timer for each wait.

gevent arms a timer for each read and disarms it again, which costs as much as the read. Here one timer runs for many
waits. It looks, when it ends, whether the wait of that moment has lasted too long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import gevent

__all__ = ["TimedSocket"]

_monotonic = time.monotonic


class TimedSocket:
    """A connected gevent socket, with the methods that a frame reader uses. One greenlet receives, others may send."""

    def __init__(self, sock: Any) -> None:
        self._waiting_sock = sock
        # The socket of the standard library below gevent's. The attribute is private; setup.py names the versions of
        # gevent that were tried.
        self._sock = sock._sock
        self._receive: Callable[[memoryview], int] = self._sock.recv_into
        self._timeout: float | None = sock.gettimeout()
        self._wait = _ReadWait(sock.fileno())
        self._is_drained = False
        """Whether the last read took all that was there: then it is cheaper to wait first."""

    def recv_into(self, view: memoryview) -> int:
        """Wait until something has arrived, and read once; return how many bytes, 0 at the end of the stream.

        Raises TimeoutError, or BlockingIOError when the timeout is 0, and the errors of the socket.
        """
        timeout = self._timeout
        if timeout == 0.0:
            return self._receive(view)
        if self._is_drained:
            self._wait_for_data(timeout)
        while True:
            try:
                count = self._receive(view)
            except BlockingIOError:
                self._wait_for_data(timeout)
            else:
                self._is_drained = count < len(view)
                return count

    def _wait_for_data(self, timeout: float | None) -> None:
        if not self._wait.wait(math.inf if timeout is None else _monotonic() + timeout):
            raise TimeoutError("timed out")

    def recv(self, size: int) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(memoryview(buffer))])

    def send(self, data: bytes) -> int:
        self._waiting_sock.settimeout(self._timeout)
        count: int = self._waiting_sock.send(data)
        return count

    def gettimeout(self) -> float | None:
        return self._timeout

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def close(self) -> None:
        self._wait.close()
        self._waiting_sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._waiting_sock, name)


class _ReadWait:
    """Lets one greenlet wait until a file descriptor can be read."""

    def __init__(self, fd: int) -> None:
        self._hub: Any = gevent.get_hub()
        self._io = self._hub.loop.io(fd, 1)
        self._timer: Any = None
        self._timer_ends = math.inf
        self._deadline = math.inf
        self._resume: Any = None
        """Switches to the greenlet that waits; None while none does."""

    def wait(self, deadline: float) -> bool:
        """Return True when there is something to read, False at the deadline, a time of the monotonic clock."""
        self._deadline = deadline
        if deadline < self._timer_ends:
            self._start_timer(deadline)
        self._resume = gevent.getcurrent().switch
        self._io.start(self._resume, True)
        try:
            readable: bool = self._hub.switch()
        finally:
            self._resume = None
            self._io.stop()
        return readable

    def _start_timer(self, ends: float) -> None:
        self._stop_timer()
        self._timer_ends = ends
        # gevent rounds the time of its loop down, so that the timer would end a little early.
        self._timer = self._hub.loop.timer(max(0.0, ends - _monotonic()))
        self._timer.start(self._timer_ended, update=True)

    def _timer_ended(self) -> None:
        self._timer_ends = math.inf
        if self._resume is None:
            return
        if self._deadline <= _monotonic():
            self._resume(False)
        else:
            self._start_timer(self._deadline)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def close(self) -> None:
        self._stop_timer()
        self._io.stop()
        self._io.close()
