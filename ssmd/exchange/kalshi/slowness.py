"""The pace of commands after Kalshi has said that they come too fast. Pure.

Kalshi does not say how many are allowed, so the pace is found out: it is reduced with each such refusal, and raised
after some time without one.
"""

from __future__ import annotations

__all__ = ["FASTEST", "RECOVERY_MS", "SLOWEST", "Slowness"]

FASTEST = 10.0
"""How many commands are sent in a second after the first refusal."""
SLOWEST = 0.3
_FACTOR = 3
RECOVERY_MS = 60_000
"""How long after a refusal, and after each raise, the pace is raised."""


class Slowness:
    """All times are in ms, of a clock that never goes back."""

    def __init__(self) -> None:
        self._per_second: float | None = None
        """The pace; None for no limit."""
        self._tokens = 0.0
        """How many commands may be sent now. With fewer commands, each has more of the markets that have gathered."""
        self._passed_ms = self._raise_ms = 0

    @property
    def is_limited(self) -> bool:
        return self._per_second is not None

    def refused(self) -> None:
        """Reduce the pace."""
        slower = FASTEST if self._per_second is None else self._per_second / _FACTOR
        self._per_second = max(SLOWEST, slower)
        self._tokens = min(self._tokens or self._at_once(slower), self._at_once(slower))
        self._raise_ms = self._passed_ms + RECOVERY_MS

    @staticmethod
    def _at_once(per_second: float) -> float:
        """Return how many commands may be sent together, so that none waits long for the next."""
        return max(1.0, per_second / _FACTOR)

    def pass_time(self, passed_ms: int) -> None:
        gained_ms, self._passed_ms = passed_ms - self._passed_ms, passed_ms
        if self._per_second is None:
            return
        if passed_ms >= self._raise_ms:
            self._raise_ms = passed_ms + RECOVERY_MS
            self._per_second *= _FACTOR
            if self._per_second > FASTEST:
                self._per_second = None
                return
        gained = self._per_second * gained_ms / 1000
        self._tokens = min(self._at_once(self._per_second), self._tokens + gained)

    def allowed(self, most: int) -> int:
        """Return how many of `most` commands may be sent now."""
        return most if self._per_second is None else min(most, int(self._tokens))

    def sent(self, count: int) -> None:
        self._tokens = max(0.0, self._tokens - count)
