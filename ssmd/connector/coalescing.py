"""Pauses between reads, so that messages which arrive fast are read together. Pure.

Below saturation it is not the message that costs CPU time but the wake-up for it, about a hundred times as much. So
when the reader has waited only briefly for something to read, it pauses before the next read, and then takes everything
that has gathered. It goes on like this until a pause gathers nothing. After a longer silence a message is read as soon
as it arrives. The higher the rate, the shorter the pauses: each read already takes many messages, and waiting longer
would only delay them. In a flood there are no pauses.
"""

from __future__ import annotations

__all__ = ["Pauses"]

SHORTEST_SECONDS = 0.001
"""The event loop sleeps in whole milliseconds, and rounds up."""

RATE_SECONDS = 0.02
"""The rate is measured over at least this time: long enough that one burst does not change it, short enough that a
flood is noticed soon."""

GATHERED = 0.25
"""A pause has gathered something when the read after it waited less than this part of the pause."""


class Pauses:
    """The pauses of one reader. `seconds`: the longest one, 0 for none. `most_bytes`: the size of a full read."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = self._pause = seconds
        self._most_bytes = most_bytes
        self._rate_bytes = 0
        self._rate_began = 0.0
        self.due = 0.0
        """Seconds to pause before the next read; 0 for no pause."""

    def learn(self, size: int, waited: float, now: float, full: bool) -> None:
        """Take a read into account, and set `due`.

        `size`: the bytes that it has read. `waited`: the seconds that it has waited for them, without the pause before
        it. `now`: seconds of a monotonic clock. `full`: it has read as much as there was room for.
        """
        self._rate_bytes += size
        if now - self._rate_began >= RATE_SECONDS:
            self._pause = self._fitting(self._rate_bytes / (now - self._rate_began))
            self._rate_bytes, self._rate_began = 0, now
        short = self.due * GATHERED if self.due else self._seconds
        # After a large read more may be ready: the rest of a flood, or what the exchange could not send while the
        # window of the socket was full. Small segments fill the window long before large ones do.
        large = full or size >= self._most_bytes // 4
        self.due = self._pause if waited < short and not large else 0.0

    def _fitting(self, rate: float) -> float:
        """Return the pause for a rate in bytes a second: one that gathers about a third of a read, 0 in a flood."""
        if rate * self._seconds <= self._most_bytes * 3 / 8:
            return self._seconds
        if rate * SHORTEST_SECONDS > self._most_bytes * 3 / 4:
            return 0.0
        fitting = self._most_bytes * 3 / 8 / rate
        return min(self._seconds, max(1, fitting // SHORTEST_SECONDS) * SHORTEST_SECONDS)
