"""A socket that a greenlet waits for without starting a timer for each wait, and that may be read while it waits.

gevent arms a timer for each read and disarms it again, which costs as much as the read. Here one timer runs for many
waits. It looks, when it ends, whether the wait of that moment has lasted too long. And what has arrived may be read
without waking the greenlet.
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import gevent

__all__ = ["Receiver", "TimedSocket"]

BRIEF_SECONDS = 0.012
"""How long a brief wait lasts: a little longer than reads are gathered (GATHER_SECONDS in reads.py). So a read ends it
where messages keep coming."""

T = TypeVar("T")

_monotonic = time.monotonic


class Receiver:
    """What a frame reader needs of a socket, made of recv_now() and wait_while()."""

    _timeout: float | None

    recv_now: Callable[[memoryview], int]
    """Reads once what has arrived; returns how many bytes, 0 at the end of the stream. Raises BlockingIOError when
    nothing has, and the errors of the socket."""

    wait_while: Callable[[float, Callable[[], bool]], bool]
    """Calls a function whenever something can be read, until it returns True; returns False when that has not happened
    until a time, in seconds of the monotonic clock. The event loop makes the calls, so the function must not block.
    What it raises is raised."""

    wait_briefly: Callable[[Callable[[], bool]], bool]
    """Does the same for BRIEF_SECONDS."""

    def recv_into(self, view: memoryview) -> int:
        """Wait until something has arrived, and read once; return how many bytes, 0 at the end of the stream.

        Raises TimeoutError, or BlockingIOError when the timeout is 0, and the errors of the socket.
        """
        return self._in_time(lambda: self.recv_now(view))

    def _in_time(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, which is called whenever something has arrived, as long as it raises
        BlockingIOError. Raises what recv_into() raises.
        """
        until = math.inf if self._timeout is None else _monotonic() + self._timeout
        while True:
            try:
                return read()
            except BlockingIOError:
                if self._timeout == 0.0:
                    raise
            if not self.wait_while(until, _at_once):
                raise TimeoutError("timed out")

    def recv(self, size: int) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(memoryview(buffer))])

    def gettimeout(self) -> float | None:
        return self._timeout

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout


class TimedSocket(Receiver):
    """A connected gevent socket. One greenlet receives, others may send."""

    def __init__(self, sock: Any) -> None:
        self._waiting_sock = sock
        # The socket of the standard library below gevent's. The attribute is private; setup.py names the versions of
        # gevent that were tried.
        self.recv_now = sock._sock.recv_into
        self._timeout = sock.gettimeout()
        self._wait = _ReadWait(sock.fileno())
        self.wait_while, self.wait_briefly = self._wait.wait, self._wait.wait_briefly

    def send(self, data: bytes) -> int:
        self._waiting_sock.settimeout(self._timeout)
        count: int = self._waiting_sock.send(data)
        return count

    def close(self) -> None:
        self.recv_now = _raise_closed  # gevent closes the socket below only some time later.
        self._wait.close()
        self._waiting_sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._waiting_sock, name)


def _at_once() -> bool:
    return True


def _raise_closed(view: memoryview) -> int:
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class _ReadWait:
    """Lets one greenlet wait until a file descriptor can be read."""

    def __init__(self, fd: int) -> None:
        self._hub: Any = gevent.get_hub()
        self._io = self._hub.loop.io(fd, 1)
        self._brief = self._hub.loop.timer(0.0, BRIEF_SECONDS)
        self._timer: Any = None
        self._timer_ends = math.inf
        self._until = math.inf
        self._work: Callable[[], bool] = _at_once
        self._is_closed = False
        self._waiter: Any = None
        """The greenlet that waits; None while none does."""

    def wait(self, until: float, work: Callable[[], bool]) -> bool:
        """See Receiver.wait_while."""
        if self._is_closed:
            return work()  # It finds that out.
        if until != self._until:
            self._until = until
            # A timer that ends too early is left alone: the wait will most likely end before.
            if until < self._timer_ends:
                self._start_timer(until)
        return self._switch(work)

    def wait_briefly(self, work: Callable[[], bool]) -> bool:
        """See Receiver.wait_briefly."""
        if self._is_closed:
            return work()
        self._brief.again(self._brief_ended)
        try:
            return self._switch(work)
        finally:
            self._brief.stop()  # Also after close(): for a watcher that is closed it does nothing.

    def _brief_ended(self) -> None:
        if self._waiter is not None:
            self._waiter.switch(False)

    def _switch(self, work: Callable[[], bool]) -> bool:
        """Let the event loop run until it switches back."""
        self._work = work
        if not self._io.active:
            self._io.start(self._readable)
        self._waiter = gevent.getcurrent()
        try:
            is_done: bool = self._hub.switch()
        finally:
            self._waiter = None
            self._work = _at_once  # It may hold the socket, which the timer would then keep open.
        return is_done

    def _readable(self) -> None:
        if self._waiter is None:
            # Only now: the watcher goes on from wait to wait, because to start and stop it costs two system calls.
            self._io.stop()
            return
        try:
            is_done = self._work()
        except Exception as error:
            self._waiter.throw(error)
        else:
            if is_done:
                self._waiter.switch(True)

    def _start_timer(self, ends: float) -> None:
        self._stop_timer()
        self._timer_ends = ends
        # gevent rounds the time of its loop down, so that the timer would end a little early.
        self._timer = self._hub.loop.timer(max(0.0, ends - _monotonic()))
        self._timer.start(self._timer_ended, update=True)

    def _timer_ended(self) -> None:
        self._timer_ends = math.inf
        if self._until > _monotonic() and self._waiter is not None:
            if self._until < math.inf:
                self._start_timer(self._until)
            return
        self._until = math.inf  # The next wait starts a timer of its own, even when it is to end at the same time.
        if self._waiter is not None:
            self._waiter.switch(False)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def close(self) -> None:
        """End the wait of a greenlet, as if there were something to read. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop_timer()
        self._brief.close()
        self._io.close()
        if self._waiter is not None:
            self._hub.loop.run_callback(self._readable)
