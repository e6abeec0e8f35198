"""The time that pauses, requests and keep-alives are measured with. Pure."""

from __future__ import annotations

__all__ = ["PassedTime"]


class PassedTime:
    """Measures passed time by the run's clock, which may be set, and stands still for a while after a step back."""

    def __init__(self) -> None:
        self._now_ms: int | None = None
        self._passed_ms = 0

    def tick(self, now_ms: int, least_ms: int) -> int:
        """Return the time since the first tick, in ms.

        `now_ms`: Unix milliseconds. `least_ms`: how much time has passed, about, if the clock stands still.
        """
        if self._now_ms is not None:
            passed = now_ms - self._now_ms
            self._passed_ms += passed if passed > 0 else least_ms
        self._now_ms = now_ms
        return self._passed_ms
