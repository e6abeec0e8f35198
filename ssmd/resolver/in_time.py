"""Work that must end in time, whatever it waits for: a name, a handshake, an answer that comes byte by byte, a disk."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from ssmd.unpatched import unpatched

__all__ = ["disk_in_time", "in_time"]

T = TypeVar("T")

LEAST_SECONDS = 1.0
"""So long a file may take to be read, also when other sources have taken all the time."""


class _Outcome(Generic[T]):
    """What work has returned or raised in another thread, for the thread that waits for it."""

    def __init__(self) -> None:
        self._results: list[T] = []
        self._errors: list[BaseException] = []

    def take(self, work: Callable[[], T]) -> None:
        try:
            self._results.append(work())
        except BaseException as error:  # Raised again by get().
            self._errors.append(error)

    def get(self) -> T:
        if self._errors:
            raise self._errors[0]
        return self._results[0]


def in_time(work: Callable[[], T], until: float) -> T:
    """Return what `work` returns, or raise what it raises. Raises TimeoutError at `until`, of the monotonic clock.

    It works in a thread, which is left alone when the time is over: the time-outs of a socket are for each read, and
    the system's search for a host's name has none. With gevent's patches the thread is a greenlet.
    """
    outcome = _Outcome[T]()
    is_done = threading.Event()

    def run() -> None:
        outcome.take(work)
        is_done.set()

    threading.Thread(target=run, name="in-time", daemon=True).start()
    if not is_done.wait(max(0.0, until - time.monotonic())):
        raise TimeoutError("timed out")
    return outcome.get()


def disk_in_time(work: Callable[[], T], until: float) -> T:
    """As in_time(), for work with files: a call on a file of a network file system without its server never returns,
    and would stop all greenlets. So this thread is one of the system, also with gevent's patches.

    It has LEAST_SECONDS in any case. Raises OSError when the system starts no further thread.
    """
    outcome = _Outcome[T]()
    reading, writing = os.pipe()

    def run() -> None:
        outcome.take(work)
        with suppress(BrokenPipeError):  # Nobody waits any more.
            os.write(writing, b"!")
        os.close(writing)

    try:
        _start(run, writing)
        poll = select.poll()  # With gevent's patches, other greenlets go on meanwhile.
        poll.register(reading, select.POLLIN)
        if not poll.poll(max(LEAST_SECONDS, until - time.monotonic()) * 1000):
            raise TimeoutError("timed out")
    finally:
        os.close(reading)
    return outcome.get()


def _start(run: Callable[[], None], writing: int) -> None:
    try:
        unpatched("_thread", "start_new_thread")(run, ())
    except RuntimeError:
        os.close(writing)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
