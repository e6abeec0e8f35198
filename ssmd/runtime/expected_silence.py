"""The times in which no message is expected, such as an exchange's maintenance: silence raises no alarm in them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ssmd.metadata.hours import Times
from ssmd.runtime.journal import Journal
from ssmd.runtime.open_hours import second
from ssmd.runtime.status import Status
from ssmd.store.ledger import SILENCE_EXPECTED
from ssmd.store.timestamps import timestamp

__all__ = ["NO_SILENCES", "ExpectedSilence"]

NO_SILENCES = Times((), any)

_log = logging.getLogger("ssmd.runner")


class ExpectedSilence:
    """Sets `status.silence_until_ns`, and reports in the log and the ledger when such a time begins.

    `hold`: called with whether the connector is to wait for data for ever. `clock`: returns the run's time, which never
    decreases, and `wall_clock` what the wall clock shows, in ns since the epoch; they are read only when there are such
    times.
    """

    def __init__(
        self,
        times: Times,
        status: Status,
        journal: Journal,
        hold: Callable[[bool], None],
        clock: Callable[[], int],
        wall_clock: Callable[[], int],
    ) -> None:
        self._times = times
        self._status = status
        self._journal = journal
        self._hold = hold
        self._clock = clock
        self._wall_clock = wall_clock
        self._held = False
        self._looked = 0
        self._changes: float = 0
        """Between these two moments, Unix seconds, nothing changes. A clock that is set back shows one before them."""
        if times.parts:
            status.has_silences = True
            self._look(wall_clock() // 10**9)  # Also for a run that ends before it is connected.

    def tick(self) -> None:
        """Look whether such a time has begun or ended; called once a second while the run goes on."""
        if not self._times.parts:
            return
        now = self._wall_clock() // 10**9
        if not self._looked <= now < self._changes:
            self._look(now)
        until_ns = self._status.silence_until_ns
        if self._held == (until_ns is not None):
            return
        self._held = until_ns is not None
        self._hold(self._held)
        if until_ns is not None:
            _log.info("silence expected", extra={"until": second(until_ns // 10**9)})
            self._journal.note(SILENCE_EXPECTED, self._clock(), until=timestamp(until_ns))

    def _look(self, now: int) -> None:
        changes = self._times.next_change(now)
        self._looked = now
        self._changes = float("inf") if changes is None else changes
        expected = self._times.include(now) and changes is not None
        self._status.silence_until_ns = changes * 10**9 if expected and changes is not None else None
