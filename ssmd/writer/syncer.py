"""When the file of a day is synced: not before its interval, off the hub, and never again after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable

from ssmd.runtime.status import Status
from ssmd.runtime.threads import Pending

__all__ = ["LOOK_AGAIN_SECONDS", "Syncer"]

LOOK_AGAIN_SECONDS = 0.05
"""How soon to ask again whether a sync has ended that the next one waits for."""


class Syncer:
    """Starts syncs and takes their results.

    `work`: makes everything durable that was written, and returns the bytes free on the disk; it may block. `seconds`:
    the interval between the beginnings of two syncs.
    """

    def __init__(self, work: Callable[[], int], seconds: float, status: Status) -> None:
        self._work = work
        self._seconds = seconds
        self._status = status
        self._running: Pending[int] | None = None
        self._began = 0.0
        self.unsynced = False
        """Something was written since the last sync began."""

    def sync(self) -> float | None:
        """Begin a sync that is due; return when to ask again, see Writer.sync(). Raises WriteError."""
        if self._running is not None:
            if not self._running.done():
                return LOOK_AGAIN_SECONDS if self.unsynced else None
            self._finish()
        if not self.unsynced:
            return None
        left = self._began + self._seconds - time.monotonic()
        if left > 0:
            return left
        self._begin()
        return None

    def sync_now(self) -> None:
        """Make durable what was written, before this returns. Raises WriteError."""
        self._finish()
        self._begin()
        self._finish()

    def _begin(self) -> None:
        self._began = self._status.sync_began = time.monotonic()
        self.unsynced = False
        self._running = Pending(self._work)

    def _finish(self) -> None:
        """Wait for the sync that is running, if any. A failed one is final, see sync_file()."""
        running, self._running = self._running, None
        if running is not None:
            self._status.disk_free = running.result()
            self._status.last_sync = time.time()
            self._status.sync_began = None
