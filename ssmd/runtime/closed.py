"""The process while its environment is closed by schedule: it waits for the opening, healthy and not connected."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event

from ssmd.contracts.service import Service
from ssmd.errors import Disconnected
from ssmd.runtime.companions import Companions
from ssmd.runtime.open_hours import EARLY_SECONDS, second
from ssmd.runtime.outcomes import error_of, outcome
from ssmd.runtime.status import Status
from ssmd.store.timestamps import day_of_ns

__all__ = ["Closed"]

LOOK_SECONDS = 1.0


class Closed:
    """Waits until shortly before the opening at `until`, in Unix seconds.

    `services` and `companions` run meanwhile: so the probes answer, and a day that ends is sealed. `status_line`: shows
    a line of state, once a second. `clock`: returns ns since the epoch; it may be set at any time.
    """

    def __init__(
        self,
        until: int,
        status: Status,
        services: Sequence[Service],
        companions: Companions,
        *,
        clock: Callable[[], int],
        status_line: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.until = until
        status.closed_until_ns = until * 10**9
        self._status = status
        self._services = services
        self.companions = companions
        self._clock = clock
        self._status_line = status_line
        self._ended = Event()
        self.stopped_by: str | None = None
        """The reason given to stop(); None while nobody has called it."""

    def stop(self, reason: str) -> None:
        """End the wait. Safe to call at any time."""
        self.stopped_by = self.stopped_by or reason
        self._ended.set()

    def wait(self) -> None:
        """Return at the opening, or after stop(). Raises what ends a service."""
        self._begin_day()
        services = [gevent.spawn(outcome, service.serve) for service in self._services]
        for service in services:
            service.link(lambda ended: self._ended.set())
        self.companions.start()
        try:
            while self._clock() < (self.until - EARLY_SECONDS) * 10**9 and not self._ended.wait(LOOK_SECONDS):
                self._begin_day()
            if self.stopped_by is None and (ended := [service for service in services if service.dead]):
                raise error_of(ended[0]) or Disconnected("a service has ended by itself")
        finally:
            self.companions.stop()
            for each in self._services:
                each.stop()
            gevent.killall(services, timeout=1)

    def _begin_day(self) -> None:
        now_ns = self._clock()
        self._status.day = day_of_ns(now_ns)
        self._status.state_since(now_ns)
        self._status_line(f"closed by schedule until {second(self.until)}")
