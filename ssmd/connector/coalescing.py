"""Pauses between reads, so that messages which arrive fast are read together.

Below saturation it is not the message that costs CPU time but the wake-up for it. So when reads come less than PERIOD
pauses apart for longer than a burst, there is a pause before each of them. A message that comes after a silence is read
at once, and so are the first messages of a burst: they use up what was saved in the silence.
"""

from __future__ import annotations

import gevent
from gevent import monkey

__all__ = ["Pauses"]

LONGEST_NATIVE_SECONDS = 0.001
"""A longer pause is one of the reader alone."""

PERIOD = 1.25
"""How far apart reads have to be, on average, to need no pause; in longest pauses. It is more than one because the work
on what was read takes time too."""

SAVED_SECONDS = 0.01
"""The reads of this time may be saved in a silence: enough for a burst of 20 reads when they may be 0.5 ms apart."""
LEAST_SAVED = 2.0

_native_sleep = monkey.get_original("time", "sleep")


class Pauses:
    """The pauses of one reader. `seconds`: the longest one, 0 for none. `large_bytes`: there is none after a read of so
    much.
    """

    def __init__(self, seconds: float, large_bytes: int) -> None:
        self._seconds = seconds
        self._period = seconds * PERIOD
        self._large = large_bytes
        self._most_saved = max(LEAST_SAVED, SAVED_SECONDS / seconds) if seconds else 0.0
        self._saved = self._most_saved
        """How many reads may come at once, before there is a pause; negative while one is due."""
        self._last = 0.0
        self.due = 0.0
        """Seconds to pause before the next read; 0 for no pause."""

    def learn(self, size: int, now: float) -> None:
        """Take a read into account, and set `due`.

        `size`: the bytes that it has read. `now`: seconds of a monotonic clock.
        """
        if not self._seconds:
            return
        saved = self._saved + (now - self._last) / self._period
        saved = (saved if saved < self._most_saved else self._most_saved) - 1.0
        self._last = now
        if saved >= 0.0:
            self._saved = saved
            self.due = 0.0
            return
        self._saved = saved if saved > -1.0 else -1.0
        # After a large read more may be ready: the rest of a flood, or what the exchange could not send while the
        # window of the socket was full. Small segments fill the window long before large ones do.
        self.due = 0.0 if size >= self._large else min(self._seconds, -self._saved * self._period)

    @property
    def is_long(self) -> bool:
        """Whether the pause that is due is too long for the whole process."""
        return self.due > LONGEST_NATIVE_SECONDS

    def pause(self) -> None:
        """Wait as long as is due. The event loop sleeps in whole milliseconds and rounds up, so a shorter pause is one
        of the whole process: no other greenlet waits longer for it than this.
        """
        seconds, self.due = self.due, 0.0
        if seconds > LONGEST_NATIVE_SECONDS:
            gevent.sleep(seconds)
        else:
            _native_sleep(seconds)
