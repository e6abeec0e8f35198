"""When requests may be made: the pace of the feed, and pauses after failures. Pure; times are monotonic seconds."""

from __future__ import annotations

import math

__all__ = ["Backoff", "Bucket"]


class Bucket:
    """A token bucket: at most `per_second` requests a second, after at most so many at once; None for no limit."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second or math.inf
        self._most = max(1.0, self._per_second)
        self._tokens = self._most
        self._at = -math.inf
        self._paused_until = -math.inf

    def wait(self, now: float) -> float:
        """Return how many seconds to wait before a request; 0 for none, and then the request is counted."""
        if now < self._paused_until:
            return self._paused_until - now
        if self._per_second == math.inf:
            return 0.0
        if self._at > -math.inf:
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1.0 - 1e-9:
            return (1.0 - self._tokens) / self._per_second
        self._tokens -= 1.0
        return 0.0

    def pause(self, until: float) -> None:
        """Make no request before that time."""
        self._paused_until = max(self._paused_until, until)


class Backoff:
    """The pause after each failure in a row: it doubles from 1 s to a minute."""

    FIRST, LONGEST = 1.0, 60.0

    def __init__(self) -> None:
        self._next = self.FIRST
        self.since: float | None = None
        """When the first failure of this row was; None when the last request was answered."""

    def failed(self, now: float) -> float:
        """Return how many seconds to wait before the next attempt."""
        if self.since is None:
            self.since = now
        pause, self._next = self._next, min(2 * self._next, self.LONGEST)
        return pause

    def succeeded(self) -> None:
        self._next, self.since = self.FIRST, None
