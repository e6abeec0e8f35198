"""How long the connector waits for the next frame, and what it means when none comes. Pure."""

from __future__ import annotations

import math

__all__ = ["DATA", "IDLE", "PING", "TICK", "Patience"]

LATE_FRAMES = 1000
"""How many pings and fragments in a row are still read when the time for data is over. A process that was itself
stopped may find data behind them, but a flood of them has no end."""

IDLE, DATA, PING, TICK = "idle", "data", "ping", "tick"
"""The limits of a wait."""


class Patience:
    """Follows one connection; all times are seconds of a monotonic clock.

    `idle_seconds`: silence, in which not even a ping was answered, after which the connection counts as dead; after
    half of it a ping is due. `data_seconds`: silence without data after which it ends, None for no limit.
    `tick_seconds`: when the first empty list is due, None for never. `now`: the time at which reading begins.
    """

    def __init__(self, idle_seconds: float, data_seconds: float | None, tick_seconds: float | None, now: float) -> None:
        self._idle_seconds = idle_seconds
        self._ping_seconds = idle_seconds / 2
        self._data_seconds = math.inf if data_seconds is None else data_seconds
        self._allowed = self._data_seconds
        """The same; infinite while silence is expected."""
        self._only_idle = data_seconds is None and tick_seconds is None
        self._late = 0
        self._pinged = False
        self.limit = PING
        """Which limit ends the wait that wait() returned last."""
        self.waited = 0.0
        """How long no frame of any kind has come while the connector waited for one."""
        self.last_data = now
        """When data was last handled: the time that this took does not count as silence."""
        self.next_tick = now + (math.inf if tick_seconds is None else tick_seconds)
        """When the next empty list is due."""

    def wait(self, now: float) -> float:
        """Return how many seconds to wait for a frame at most.

        When a silence is over they are not positive: what has arrived is still read. Raises TimeoutError when too many
        frames without data were read in that way.
        """
        if not self.waited:
            self._pinged = False
            if self._only_idle:
                self.limit = PING
                return self._ping_seconds
        idle, self.limit = (self._idle_seconds, IDLE) if self._pinged else (self._ping_seconds, PING)
        seconds = idle - self.waited
        left = self.last_data + self._allowed - now
        if left < seconds:
            seconds, self.limit = left, DATA
        self._late = self._late + 1 if left < 0.0 else 0
        if self._late > LATE_FRAMES:
            raise TimeoutError
        left = self.next_tick - now
        if seconds > 0.0 and left < seconds:
            seconds, self.limit = max(0.0, left), TICK
        return seconds

    def expect_silence(self, expected: bool, now: float) -> None:
        """Let a silence of data last for ever while it is expected; afterwards it counts from then on."""
        self._allowed = math.inf if expected else self._data_seconds
        self.last_data = now

    def is_over(self) -> bool:
        """Return whether the silence that ended the last wait is too long, by what is allowed now."""
        return self.limit == IDLE or (self.limit == DATA and self._allowed < math.inf)

    def passed(self, seconds: float) -> None:
        """Record that a wait has ended without a frame. `seconds`: what wait() returned.

        No more than that counts: in the rest this process may have been stopped, and no answer could be read.
        """
        self.waited += max(0.0, seconds)

    def pinged(self) -> None:
        """Record that the ping is sent, or cannot be: from now on, only the end of the silence is waited for."""
        self._pinged = True

    def ticked(self, now: float, tick_seconds: float | None) -> None:
        """Record that an empty list was yielded now, and the next is due in so many seconds."""
        self.next_tick = now + (math.inf if tick_seconds is None else tick_seconds)
