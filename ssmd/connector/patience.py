"""How long the reader waits for the next frame, and what it means when none comes. Pure."""

from __future__ import annotations

import math

__all__ = ["DATA", "IDLE", "TICK", "Patience"]

LATE_FRAMES = 1000
"""How many pings and fragments are still read when the time for data is over. A process that was itself stopped may
find data behind them, but a flood of them has no end."""

IDLE, DATA, TICK = "idle", "data", "tick"
"""The limits of a wait."""


class Patience:
    """Follows one connection; all times are of the monotonic clock, in seconds.

    `idle_seconds`: silence, pings included, after which the connection counts as dead. `data_seconds`: silence without
    data, None for no limit. `tick_seconds`: the longest wait when the exchange wants to speak, None when it never does.
    `now`: the time at which reading begins.
    """

    def __init__(self, idle_seconds: float, data_seconds: float | None, tick_seconds: float | None, now: float) -> None:
        self._idle_seconds = idle_seconds
        self._data_seconds = math.inf if data_seconds is None else data_seconds
        self._tick_seconds = math.inf if tick_seconds is None else tick_seconds
        self._last_data = now
        self._quiet = 0.0
        self._late = 0
        self.limit = IDLE
        """Which limit ends the wait that wait() returned last."""

    def wait(self, now: float) -> float:
        """Return how long to wait for a frame. Negative when the time for data is over."""
        seconds, self.limit = self._idle_seconds - self._quiet, IDLE
        left = self._last_data + self._data_seconds - now
        self._late = self._late + 1 if left < 0.0 else 0
        if left < seconds:
            seconds, self.limit = left, DATA
        if self._tick_seconds < seconds:
            seconds, self.limit = self._tick_seconds, TICK
        return seconds

    def is_exhausted(self) -> bool:
        """Return whether so many frames without data came too late that no more are read."""
        return self._late > LATE_FRAMES

    def frame(self) -> None:
        """A frame has come, of whatever kind."""
        self._quiet = 0.0

    def data(self, now: float) -> None:
        """Data has come and was handled; the time that took is not counted as silence."""
        self._last_data = now

    def no_frame(self, waited: float) -> None:
        """No frame has come while the reader waited for `waited` seconds."""
        self._quiet += waited
