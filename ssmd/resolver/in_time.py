"""Work that must end in time, whatever it waits for: a name, a handshake, or an answer that comes byte by byte."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_time"]

T = TypeVar("T")


def in_time(work: Callable[[], T], until: float) -> T:
    """Return what `work` returns, or raise what it raises. Raises TimeoutError at `until`, of the monotonic clock.

    It works in a thread, which is left alone when the time is over: the time-outs of a socket are for each read, and
    the system's search for a host's name has none. With gevent's patches the thread is a greenlet.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    is_done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # Raised again below.
            errors.append(error)
        finally:
            is_done.set()

    threading.Thread(target=run, name="in-time", daemon=True).start()
    if not is_done.wait(max(0.0, until - time.monotonic())):
        raise TimeoutError("timed out")
    if errors:
        raise errors[0]
    return results[0]
