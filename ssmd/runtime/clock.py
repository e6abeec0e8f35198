"""The wall clock of a run, which may stand still but never goes back: a step must not reopen yesterday's file."""

from __future__ import annotations

from collections.abc import Callable

from ssmd.errors import ClockError

__all__ = ["MOST_BEHIND_SECONDS", "RunClock"]

MOST_BEHIND_SECONDS = 7200.0
"""How far the wall clock may be behind: more than the steps of an hour that wrong time zones make. Until it has caught
up, every message has the same `ts`, and is written to the file of a day that may not be today."""


class RunClock:
    """Returns times that never decrease.

    `wall_clock`: returns ns since the epoch. `stepped`: called when the wall clock has stepped back, with the time that
    now() goes on to return, and how far the wall clock is behind it, both in ns.
    """

    def __init__(self, wall_clock: Callable[[], int], stepped: Callable[[int, int], None]) -> None:
        self._wall_clock = wall_clock
        self._stepped = stepped
        self._behind_ns = 0
        self.last_ns = 0
        """What now() returned last."""

    def now(self) -> int:
        """Return the time in ns since the epoch."""
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
            raise ClockError(f"the clock is {seconds} s behind its earlier time; the next start takes it as it is")
