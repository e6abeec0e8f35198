"""When to put off a read, so that what comes fast is read together.

Off saturation it is not the message that costs but the wake-up for it, some hundred times as much. So when the wait
for something to read was short, the next read is put off for a nap, and takes what has gathered meanwhile; and so on,
until a nap gathers nothing. After a longer silence a message is read as soon as it arrives. A flood, of which a nap
gathers more than one read can take, is read as it comes: each wake-up is well used already, and naps would keep the
exchange from sending.
"""

from __future__ import annotations

import gevent

__all__ = ["Naps"]

FLOOD_NAPS = 16
"""For as long as so many naps a flood is taken to last."""

GATHERED = 0.25
"""The wait after a nap, as a part of it, up to which the nap counts as one that has gathered something."""


class Naps:
    """The naps of one reader. `seconds`: how long each is, 0 for none; `most_bytes`: what one read can take."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._due = False
        self._short = seconds
        """The longest wait behind which another nap pays."""
        self._gathered = 0
        """Bytes since there was last nothing more to read."""
        self._flood_until = 0.0

    def take(self) -> None:
        """Sleep, if that pays before the next read."""
        self._short = self._seconds
        if self._due:
            gevent.sleep(self._seconds)
            self._short *= GATHERED

    def learn(self, size: int, waited: float, now: float, more: bool) -> None:
        """Of a read of so many bytes, after so many seconds of waiting; `more`: it was as much as a read can take."""
        self._gathered += size
        if more:
            self._due = False
            return
        if self._gathered >= self._most_bytes:
            self._flood_until = now + FLOOD_NAPS * self._seconds
        self._gathered = 0
        self._due = waited < self._short and now > self._flood_until
