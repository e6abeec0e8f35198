"""When to put off a read, so that what comes fast is read together. Pure.

Off saturation it is not the message that costs but the wake-up for it, some hundred times as much. So when the wait
for something to read was short, the next read is put off for a nap, and takes what has gathered meanwhile; and so on,
until a nap gathers nothing. After a longer silence a message is read as soon as it arrives. The more comes, the
shorter the naps: each wake-up is well used already, and the rest would only be late. A flood is read as it comes.
"""

from __future__ import annotations

__all__ = ["Naps"]

SHORTEST_SECONDS = 0.001
"""The event loop sleeps in whole milliseconds, and longer rather than shorter."""

RATE_SECONDS = 0.02
"""Over so long, or longer, the rate is taken: it must not answer to one burst, nor late to a flood."""

GATHERED = 0.25
"""The wait after a nap, as a part of it, up to which the nap counts as one that has gathered something."""


class Naps:
    """The naps of one reader. `seconds`: how long each is at most, 0 for none; `most_bytes`: what one read can take."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = self._nap = seconds
        self._most_bytes = most_bytes
        self._rate_bytes = 0
        self._rate_began = 0.0
        self.due = 0.0
        """How long to sleep before the next read; 0 for not at all."""

    def learn(self, size: int, waited: float, now: float, full: bool) -> None:
        """Of a read of so many bytes that has waited so many seconds, behind the nap if one was due.

        `full`: it has taken as much as there was room for.
        """
        self._rate_bytes += size
        if now - self._rate_began >= RATE_SECONDS:
            self._nap = self._fitting(self._rate_bytes / (now - self._rate_began))
            self._rate_bytes, self._rate_began = 0, now
        short = self.due * GATHERED if self.due else self._seconds
        # Behind much there may be more: the rest of a flood, or what the exchange could not send while the window of
        # the socket was full. Small segments fill it long before large ones would.
        much = full or size >= self._most_bytes // 4
        self.due = self._nap if waited < short and not much else 0.0

    def _fitting(self, rate: float) -> float:
        """The nap for so many bytes a second: it should gather some third of a read, and none is taken in a flood."""
        if rate * self._seconds <= self._most_bytes * 3 / 8:
            return self._seconds
        if rate * SHORTEST_SECONDS > self._most_bytes * 3 / 4:
            return 0.0
        fitting = self._most_bytes * 3 / 8 / rate
        return min(self._seconds, max(1, fitting // SHORTEST_SECONDS) * SHORTEST_SECONDS)
