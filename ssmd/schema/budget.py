"""How much time a collector spends on finding out why messages are not valid."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["LONGEST_EXPLAINED", "PART", "Budget"]

LONGEST_EXPLAINED = 64 * 1024
"""Of longer messages no reason is sought, because nothing else can be done meanwhile."""
PART = 0.03
"""So much of the time may be spent."""
_SAVED_SECONDS = 0.1
"""So much of it may be saved up."""

T = TypeVar("T")


class Budget:
    """Lets work be done as long as there is time for it. `timer`: returns seconds."""

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self._timer = timer
        self._left, self._last = _SAVED_SECONDS, timer()

    def spend(self, payload: bytes, work: Callable[[], T]) -> T | None:
        """Return what `work` returns for a message; None when there is no time for it."""
        now = self._timer()
        self._left = min(_SAVED_SECONDS, self._left + (now - self._last) * PART)
        self._last = now
        if len(payload) > LONGEST_EXPLAINED or self._left <= 0:
            return None
        found = work()
        self._left -= self._timer() - now
        return found
