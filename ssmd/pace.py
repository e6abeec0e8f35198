"""How fast to send to an exchange, and the pauses after refusals. Pure.

All times are in ms, of a clock that never goes back.
"""

from __future__ import annotations

import math
import sys
from collections import deque

__all__ = ["LONGEST_SECONDS", "Pace", "Pause"]

MARGIN_MS = 100
"""How much longer than a second the counted time is: messages do not all take the same time to the exchange."""

LONGEST_SECONDS = 60
"""The longest pause."""


class Pace:
    """Counts what is sent, so that the exchange never gets more than the limit, in whatever second it looks.

    `per_second`: such as `rate_limit_per_second` of a feed version; None for no limit; below 1, it is one message in so
    many seconds. `at_once`: the most in a row, where that is less; None for all of a second.
    """

    def __init__(self, per_second: float | None, at_once: int | None = None) -> None:
        self.most = sys.maxsize if per_second is None else max(1, int(min(per_second, sys.maxsize)))
        """How many may be sent at once."""
        self._window_ms = 0.0 if per_second is None else 1000 * max(1.0, 1 / per_second) + MARGIN_MS
        if per_second is not None and at_once is not None and at_once < self.most:
            self.most, self._window_ms = at_once, 1000 * at_once / per_second + MARGIN_MS
        self._sent: deque[float] = deque()
        """When each message was sent that still counts, oldest first."""
        self._held_until_ms = -math.inf

    @property
    def is_limited(self) -> bool:
        return self._window_ms > 0

    def allowed(self, now_ms: float) -> int:
        """Return how many messages may be sent now."""
        while self._sent and self._sent[0] + self._window_ms <= now_ms:
            self._sent.popleft()
        return 0 if now_ms < self._held_until_ms else max(0, self.most - len(self._sent))

    def sent(self, now_ms: float, count: int = 1) -> None:
        """Record that so many messages are sent now."""
        if self.is_limited:
            self._sent.extend([now_ms] * count)

    def wait_ms(self, now_ms: float) -> float:
        """Return in how many ms the next message may be sent; 0 for now."""
        if self.allowed(now_ms):
            return 0.0
        free_ms = self._sent[len(self._sent) - self.most] + self._window_ms if len(self._sent) >= self.most else now_ms
        return max(free_ms, self._held_until_ms) - now_ms

    def hold(self, until_ms: float) -> None:
        """Allow nothing before that time."""
        self._held_until_ms = max(self._held_until_ms, until_ms)


class Pause:
    """The pause after a refusal or a failure. It doubles with each, from 1 s up to LONGEST_SECONDS.

    After twice LONGEST_SECONDS without a refusal it is 1 s again, or earlier by accepted().
    """

    def __init__(self) -> None:
        self.seconds = 0
        """The length of the last pause; 0 when nothing was refused, or nothing for a long time."""
        self._is_new = False
        self._least_seconds = 0.0
        self._passed_ms = self._until_ms = 0.0

    def refused(self, least_seconds: float = 0.0) -> bool:
        """Record a refusal; return whether it begins a longer pause. Further refusals within a pause do not.

        `least_seconds`: how long the exchange asks to wait.
        """
        if self._is_new or self._passed_ms < self._until_ms:
            return False
        self._is_new = True
        self._least_seconds = least_seconds
        self.seconds = min(LONGEST_SECONDS, 2 * self.seconds or 1)
        return True

    def accepted(self) -> None:
        """Record that something was accepted: the next pause is not longer than the last one."""
        if not self._is_new:
            self.seconds //= 2

    def wait_ms(self, now_ms: float) -> float:
        """Return how long the pause lasts from now on; 0 without one. A new pause begins now."""
        self._passed_ms = now_ms
        if self._is_new:
            self._is_new = False
            self._until_ms = now_ms + 1000 * max(self.seconds, self._least_seconds)
        elif now_ms >= self._until_ms + 2000 * LONGEST_SECONDS:
            self.seconds = 0
        return max(0.0, self._until_ms - now_ms)
