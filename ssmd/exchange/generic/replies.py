"""Which messages are replied to, and when these are too many: the exchange may send one after each reply. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ssmd.errors import Disconnected, printable
from ssmd.exchange.generic.description import IS, Condition, Match, Reply
from ssmd.exchange.generic.outbox import Letter
from ssmd.exchange.generic.template import LONGEST

__all__ = ["MOST_REPLIES", "WINDOW_MS", "Replies"]

MOST_REPLIES = 500
WINDOW_MS = 5000
"""More replies than that in this time end the run. Heartbeats come once in a second at most."""


class Replies:
    """`waiting`: where the replies are put until they are sent."""

    def __init__(self, replies: Sequence[Reply], waiting: deque[Letter]) -> None:
        self._replies = replies
        self._waiting = waiting
        self._new = 0
        self._times: deque[int] = deque()
        """When messages that want a reply came, within WINDOW_MS."""
        self._last = 0
        self._too_long = False

    def answer(self, which: int, payload: bytes) -> None:
        """Reply to a message that matches the reply of this index; ended_by() says when there is no room for it."""
        self._last = which
        self._new += 1
        if len(payload) > LONGEST:
            self._too_long = True
        elif len(self._waiting) <= MOST_REPLIES:
            self._waiting.append(Letter(self._replies[which].send, payload, name=f"replies[{which}].send"))

    def ended_by(self, now_ms: int) -> Disconnected | None:
        """Return the error that ends the run when there are too many; `now_ms`: a time that never goes back."""
        self._times.extend([now_ms] * min(self._new, MOST_REPLIES + 1))
        self._new = 0
        while self._times and self._times[0] <= now_ms - WINDOW_MS:
            self._times.popleft()
        when = f"`replies[{self._last}].when` ({_shown(self._replies[self._last].when)})" if self._replies else ""
        if self._too_long:
            return Disconnected(f"a message that matches {when} is too long for a reply: more than {LONGEST:,} bytes")
        if len(self._times) > MOST_REPLIES:
            return Disconnected(
                f"more than {MOST_REPLIES} messages in {WINDOW_MS // 1000} s match {when}, as if the exchange sent one "
                "after each reply; make this `when` of the feed's `dialect` match fewer messages"
            )
        if len(self._waiting) > MOST_REPLIES:
            return Disconnected(
                f"more than {MOST_REPLIES} replies wait to be sent, most of them to messages that match {when}; raise "
                "rate_limit_per_second of the feed, or make this `when` match fewer messages"
            )
        return None


def _shown(match: Match) -> str:
    """Return a match about as it stands in the description."""
    return " or ".join(", ".join(map(_condition, conditions)) for conditions in match)


def _condition(condition: Condition) -> str:
    name = "text" if condition.path is None else condition.path.text
    value = str(condition.value).lower() if isinstance(condition.value, bool) else condition.value
    shown = str(value) if condition.test == IS else f"{{{condition.test}: {value}}}"
    return printable(f"{name}: {shown}")
