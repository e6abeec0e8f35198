"""The timers of an exchange's rules, in its own seconds."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Timer"]


class Timer:
    """Calls `action` when `seconds` have passed since it was started or restarted, again and again."""

    def __init__(self, seconds: float, action: Callable[[], None], now: Callable[[], float]) -> None:
        self.seconds, self._action, self._now = seconds, action, now
        self.restart()

    def restart(self) -> None:
        self.at = self._now() + self.seconds

    def stop(self) -> None:
        self.at = math.inf

    @property
    def is_stopped(self) -> bool:
        return self.at == math.inf

    def run(self, now: float) -> None:
        if self.at <= now:
            self.restart()
            self._action()
