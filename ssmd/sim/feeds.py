"""What a connection sends, and when; and the feed of made-up messages. That of recorded ones is in replay_feed.py.

Times are arguments, in seconds of a monotonic clock, and nothing here waits: the connection takes what is due, sends
it, and then waits for as long as wait() returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = ["Ending", "Feed", "MadeUp", "Pace", "Source"]


class Ending(NamedTuple):
    """How an exchange ends a connection."""

    code: int | None
    """The close code; None to end the TCP connection without a close frame."""
    reason: str = ""


class Feed(Protocol):
    """The messages of one connection, as they are sent: with the newline that real ones end in."""

    def receive(self, payload: bytes) -> list[bytes]:
        """Return the exchange's replies to a message of the client."""

    def control(self, opcode: int, payload: bytes) -> None:
        """Take note of a ping or a pong of the client."""

    def take(self, now: float, limit: int) -> list[bytes]:
        """Return the messages due at `now`, about `limit` at most."""

    def wait(self, now: float) -> float:
        """Return the seconds until the next message is due, unless a command changes that; 0: now, infinity: never."""

    @property
    def ending(self) -> Ending | None:
        """How the exchange ends the connection, once it does: there will be no further message."""

    def lose(self, count: int, channel: str) -> None:
        """Leave out `count` messages of a channel, or of each if it is empty, as if they had been lost on the way."""

    def mute(self, channel: str) -> None:
        """Send no more data on a channel."""

    def fail(self, code: int) -> bytes:
        """End a subscription; return the error message that reports it."""

    def freeze(self) -> None:
        """Send no more data, and answer nothing; a sign of life that the exchange sends goes on."""

    def notice(self) -> None:
        """Announce the end of the connection as the exchange does before its maintenance."""


class Source(Protocol):
    """A source of made-up messages, without their newline: Session and Broadcast are such sources."""

    @property
    def active(self) -> bool:
        """Whether there is a subscription to make up messages for."""

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]: ...
    def produce(self, count: int, now_ns: int) -> list[bytes]: ...

    def announce(self, now_ns: int) -> list[bytes]:
        """Return the messages that are due at their own time, whatever the rate."""

    def quiet_seconds(self, now_ns: int) -> float:
        """Return in how many seconds announce() may have some; infinite for never."""

    def lose(self, count: int, channel: str) -> None: ...
    def mute(self, channel: str) -> None: ...
    def fail(self, code: int) -> bytes: ...


class Pace:
    """Counts the messages that are due at `rate` a second; a rate of 0 is flat out."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start: float | None = None
        self._done = 0

    def due(self, now: float, limit: int) -> int:
        if not self._rate:
            return limit
        if self._start is None:
            self._start, self._done = now, 0
        behind = (now - self._start) * self._rate - self._done
        most = max(self._rate, 2)
        if behind > most:
            # More than a second late, because the client or this machine is too slow. The rest is left out: a client
            # that has paused would otherwise get all of it at once.
            self._start += (behind - most) / self._rate
        return max(0, min(int((now - self._start) * self._rate) - self._done, limit))

    def count(self, sent: int) -> None:
        self._done += sent

    def wait(self, now: float) -> float:
        if not self._rate or self._start is None:
            return 0.0
        return max(0.0, self._start + (self._done + 1) / self._rate - now)

    def rest(self) -> None:
        """Start anew with the next message: the time in which there was nothing to send is not made up for."""
        self._start = None


class MadeUp:
    """Messages of a seeded source, `rate` a second over all subscriptions, and those that have a time of their own."""

    def __init__(self, source: Source, rate: float, clock: Callable[[], float]) -> None:
        self._source = source
        self._pace = Pace(rate)
        self._clock = clock
        self._frozen = False
        self.ending: Ending | None = None

    def receive(self, payload: bytes) -> list[bytes]:
        replies = list(map(_terminated, self._source.receive(payload, self._now_ns())))
        return [] if self._frozen else replies

    def control(self, opcode: int, payload: bytes) -> None:
        """Kalshi has no rule about the pings and pongs of a client."""

    def take(self, now: float, limit: int) -> list[bytes]:
        if self._frozen:
            return []
        announced = self._source.announce(self._now_ns())
        frames: list[bytes] = []
        if not self._source.active:
            self._pace.rest()
        elif count := self._pace.due(now, limit):
            frames = self._source.produce(count, self._now_ns())
            # What the source could not produce counts as sent. Otherwise it would be asked for more and more.
            self._pace.count(max(count, len(frames)))
        return list(map(_terminated, announced + frames))

    def wait(self, now: float) -> float:
        if self._frozen:
            return math.inf
        made_up = self._pace.wait(now) if self._source.active else math.inf
        return min(made_up, self._source.quiet_seconds(self._now_ns()))

    def lose(self, count: int, channel: str) -> None:
        self._source.lose(count, channel)

    def mute(self, channel: str) -> None:
        self._source.mute(channel)

    def fail(self, code: int) -> bytes:
        return _terminated(self._source.fail(code))

    def freeze(self) -> None:
        self._frozen = True

    def notice(self) -> None:
        """Kalshi has no such notice, and faults.FAULTS does not offer this fault."""

    def _now_ns(self) -> int:
        # Whole microseconds: a float has no digits below them, and a product with 1e9 would make some up.
        return int(self._clock() * 1_000_000) * 1000


def _terminated(document: bytes) -> bytes:
    """Return the message with a newline at its end, as every real one has; an empty one stays empty."""
    return document if document.endswith(b"\n") or not document else document + b"\n"
