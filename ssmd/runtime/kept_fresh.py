"""A value that takes long to find, such as one on the disk: it is found in a thread, and kept for some seconds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ssmd.errors import SsmdError
from ssmd.runtime.threads import Pending

__all__ = ["KeptFresh"]

T = TypeVar("T")


class KeptFresh(Generic[T]):
    """The newest value of `find`, which is called in a thread of gevent's pool, and only when somebody asks.

    `seconds`: how long a value is fresh. When `find` raises OSError or SsmdError, or no thread can be started, the last
    one stays.
    """

    def __init__(self, find: Callable[[], T], seconds: float) -> None:
        self._find = find
        self._seconds = seconds
        self._pending: Pending[T] | None = None
        self._until = 0.0
        self.value: T | None = None
        """None until it was found for the first time."""

    def ask(self, wait_seconds: float = 0.0) -> T | None:
        """Return the newest value that is known; find it again when it is not fresh any more.

        `wait_seconds`: how long to wait while there is none at all.
        """
        self._take()
        if self._pending is None and time.monotonic() >= self._until:
            try:
                self._pending = Pending(self._find)
            except OSError:
                self._until = time.monotonic() + self._seconds
        if self.value is None and self._pending is not None and wait_seconds:
            with contextlib.suppress(OSError, SsmdError):  # TimeoutError too: it goes on.
                self._pending.result(wait_seconds)
            self._take()
        return self.value

    def _take(self) -> None:
        """Take the value if it was found since the last time."""
        if self._pending is not None and self._pending.done():
            self._until = time.monotonic() + self._seconds
            pending, self._pending = self._pending, None
            with contextlib.suppress(OSError, SsmdError):
                self.value = pending.result()
