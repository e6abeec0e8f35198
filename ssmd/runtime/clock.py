"""The wall clock of a run, which may stand still but never goes back: a step must not reopen yesterday's file."""

from __future__ import annotations

from collections.abc import Callable

from ssmd.errors import ClockError

__all__ = ["MOST_BEHIND_SECONDS", "RunClock"]

MOST_BEHIND_SECONDS = 7200.0
"""How far the wall clock may be behind: more than the steps by an hour that mistaken time zones make. Until it has
caught up, every message has the same `ts`, and lies in the file of a day that may not be today."""


class RunClock:
    """`wall_clock`: ns since the epoch. `stepped`: told the time, and how far the wall clock is behind it, in ns."""

    def __init__(self, wall_clock: Callable[[], int], stepped: Callable[[int, int], None]) -> None:
        self._wall_clock = wall_clock
        self._stepped = stepped
        self._behind_ns = 0
        self.last_ns = 0
        """What now() said last."""

    def now(self) -> int:
        """In ns since the epoch."""
        now = self._wall_clock()
        if now >= self.last_ns:
            self.last_ns, self._behind_ns = now, 0
        else:
            if not self._behind_ns:
                self._stepped(self.last_ns, self.last_ns - now)
            self._behind_ns = self.last_ns - now
        return self.last_ns

    def require_near(self) -> None:
        """Raise ClockError when the wall clock was far behind at the last now()."""
        if self._behind_ns > MOST_BEHIND_SECONDS * 1e9:
            seconds = self._behind_ns // 10**9
            raise ClockError(f"the clock is {seconds} s behind what it said before; the next start goes by it")
