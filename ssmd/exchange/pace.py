"""How fast ssmd may send to an exchange: `rate_limit_per_second` of a feed version. Pure."""

from __future__ import annotations

import sys
from collections import deque

__all__ = ["Pace"]

MARGIN_MS = 100
"""How much longer than a second the counted time is: messages do not all take the same time to the exchange."""


class Pace:
    """Counts what is sent, so that the exchange never gets more than the limit, in whatever second it looks.

    `per_second`: None for no limit; below 1, it is one message in so many seconds. All times are in ms, of a clock that
    never goes back.
    """

    def __init__(self, per_second: float | None) -> None:
        self.most = sys.maxsize if per_second is None else max(1, int(min(per_second, sys.maxsize)))
        """How many may be sent at once."""
        self._window_ms = 0.0 if per_second is None else 1000 * max(1.0, 1 / per_second) + MARGIN_MS
        self._sent: deque[float] = deque()
        """When each message was sent that still counts, oldest first."""

    @property
    def is_limited(self) -> bool:
        return self._window_ms > 0

    def allowed(self, now_ms: float) -> int:
        """Return how many messages may be sent now."""
        while self._sent and self._sent[0] + self._window_ms <= now_ms:
            self._sent.popleft()
        return max(0, self.most - len(self._sent))

    def sent(self, now_ms: float, count: int = 1) -> None:
        """Record that so many messages are sent now."""
        if self.is_limited:
            self._sent.extend([now_ms] * count)

    def wait_ms(self, now_ms: float) -> float:
        """Return in how many ms the next message may be sent; 0 for now."""
        if self.allowed(now_ms):
            return 0.0
        return self._sent[len(self._sent) - self.most] + self._window_ms - now_ms
