"""A service that waits for a moment of the wall clock, however that clock is set meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from gevent.event import Event

__all__ = ["LOOK_SECONDS", "Alarm"]

LOOK_SECONDS = 1.0
"""How often the clock is looked at: it may be set forward at any time."""


class Alarm:
    """Calls `ring` when the moment `at_ns` has come; keeps the Service contract of contracts/service.py.

    `ring` returns the reason for which the run then ends in order, or raises an SsmdError. `clock`: returns ns since
    the epoch.
    """

    def __init__(self, at_ns: int, ring: Callable[[], str], clock: Callable[[], int]) -> None:
        self._at_ns = at_ns
        self._ring = ring
        self._clock = clock
        self._stopped = Event()

    def serve(self) -> str | None:
        while (left := (self._at_ns - self._clock()) / 1e9) > 0:
            if self._stopped.wait(min(left, LOOK_SECONDS)):
                return None
        return self._ring()

    def stop(self) -> None:
        self._stopped.set()
