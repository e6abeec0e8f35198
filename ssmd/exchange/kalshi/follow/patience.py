"""How fast requests are made to Kalshi's REST interface, and when again after a failure. Pure."""

from __future__ import annotations

from ssmd.contracts.http import HttpAnswer
from ssmd.exchange.passed_time import PassedTime
from ssmd.pace import Pace, Pause

__all__ = ["IDLE_SECONDS", "LATER_PER_SECOND", "PER_SECOND", "Patience", "fault_of"]

PER_SECOND = 10.0
"""The most requests in a second, of all shards together: half of what Kalshi allows a user of the lowest tier (20,
https://docs.kalshi.com/getting_started/rate_limits), so that other programs with the same key have the rest."""
LATER_PER_SECOND = 2.0
"""The same for the pages of whole listings after the first one, which may take their time."""
IDLE_SECONDS = 0.2
"""When to look again while nothing is to be asked: a message may bring a question at any time."""


class Patience:
    """The pace, and the pauses after refusals and failures: Kalshi asks to back off, but does not say for how long.

    `shards`: how many processes share the limit.
    """

    def __init__(self, shards: int) -> None:
        self._pace = Pace(PER_SECOND / shards)
        self._slow = Pace(LATER_PER_SECOND / shards)
        self._pause = Pause()
        self._time = PassedTime()
        self.passed_ms = 0
        """The time since the first pass_time(), of a clock that never goes back."""
        self.pause_seconds = 0
        """The length of the pause that lasts now; 0 when there is none."""
        self.error: str | None = None
        """Why the last request had no usable answer; None when it had one."""

    def pass_time(self, now_ms: int) -> None:
        self.passed_ms = self._time.tick(now_ms, 0)
        self.pause_seconds = self._pause.seconds if self._pause.wait_ms(self.passed_ms) else 0

    def wait_seconds(self, *, is_slow: bool) -> float:
        """Return how long to wait before the next request; 0 for not at all."""
        if self.pause_seconds:
            return IDLE_SECONDS
        pace = self._slow if is_slow else self._pace
        return pace.wait_ms(self.passed_ms) / 1000

    def asked(self) -> None:
        """Record a request."""
        for pace in (self._pace, self._slow):
            pace.sent(self.passed_ms)

    def failed(self, reason: str) -> None:
        """Begin a pause, because the last request has no usable answer."""
        self.error = reason
        self._pause.refused()

    def succeeded(self) -> None:
        self.error = None
        self._pause.accepted()


def fault_of(answer: HttpAnswer, expected: str) -> str:
    """Return why an answer cannot be used."""
    if answer.status == 429:
        return "Kalshi answers 429, too many requests"
    if answer.status == 200:
        return f"Kalshi's answer is not a {expected}"
    return f"Kalshi answers with the status {answer.status}"
