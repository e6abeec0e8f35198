"""What the rules of every simulated exchange are written with: timers, subscriptions, answers, and how it ends.

An exchange is one file in this folder with one subclass of Rules, of which each connection has an object. It says what
the exchange does, in the exchange's own seconds; rules.py does the rest.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar, NamedTuple

from ssmd.sim.exchanges.market import Market, View
from ssmd.sim.exchanges.timer import Timer
from ssmd.sim.feeds import Ending, Pace
from ssmd.sim.frames import Ping
from ssmd.sim.upgrade import Answer

__all__ = ["Request", "Rules", "Setting", "Subscription", "milliseconds", "pairs", "rfc3339"]


class Setting(NamedTuple):
    """What a user may choose."""

    rate: float = 50.0
    """Messages of data a second on each connection, 0 for flat out."""
    seed: int = 1
    faster: float = 1.0
    """The seconds of the exchange's rules pass so many times as fast."""
    refused: frozenset[str] = frozenset()
    """The channels that it refuses as if it had none of that name."""


class Request(NamedTuple):
    """An HTTP request to the exchange: a handshake, or another one."""

    method: str
    path: str
    query: Mapping[str, str]
    address: str
    """Host and port of the simulator, for a URL in the answer."""


@dataclass
class Subscription:
    """What the client gets: the messages of one channel about one market."""

    channel: str
    market: Market
    topic: str
    """What the exchange calls the two, if it has one name for them."""
    view: View
    number: int = 0
    """The last number of its sequence."""


class Rules:
    """The rules of one exchange, and one connection to it. Keeps the contract of feeds.Feed."""

    path: ClassVar[str]
    """Where it serves."""
    prepares: ClassVar[str] = ""
    """Where it answers the request over HTTP that a client must make before it connects; empty for none."""
    markets: ClassVar[Mapping[str, str]]
    """The coin of each market, by name."""
    channels: ClassVar[Mapping[str, int]]
    """How often there is a message of each channel, compared with the others; 0 for one that has a timer."""
    connects: ClassVar[tuple[int, float] | None] = None
    """The most connections in so many seconds; more are answered with 429."""

    # What an exchange may override

    @classmethod
    def http(cls, request: Request, shared: dict[str, Any]) -> Answer | None:
        """Answer a request that is no handshake, or refuse a handshake; None lets it go on.

        `shared`: what all connections to this simulator have in common, as in Rules.shared.
        """
        return None

    def opened(self) -> None:
        """Do what the exchange does when a client has connected."""

    def received(self, message: Any) -> None:
        """Answer a message of the client: a JSON document, or the text of anything else."""

    def event(self, subscription: Subscription) -> None:
        """Send the next message of a subscription."""
        raise NotImplementedError

    def notice(self) -> None:
        """Announce the end of the connection. An exchange without such a notice leaves this out."""

    def sent(self) -> None:
        """Take note that a message goes to the client."""

    def control(self, opcode: int, payload: bytes) -> None:
        """Take note of a ping or a pong of the client."""

    def encode(self, message: Any) -> bytes:
        """Return a message as it is sent: a text as it is, anything else as JSON."""
        return message.encode() if isinstance(message, str) else json.dumps(message, separators=(",", ":")).encode()

    # What an exchange is written with

    def __init__(self, setting: Setting, query: Mapping[str, str], shared: dict[str, Any]) -> None:
        """`query`: that of the client's URL."""
        self.query = query
        self.shared = shared
        self.ending: Ending | None = None
        self.subscriptions: dict[tuple[str, str], Subscription] = {}
        # Nothing secret is made with it.
        self.random = Random(setting.seed)  # nosec B311
        self.connection_id = str(uuid.UUID(int=self.random.getrandbits(128)))
        self._setting = setting
        self._pace = Pace(setting.rate)
        self._timers: list[Timer] = []
        self._markets: dict[str, Market] = {}
        self._out: list[bytes] = []
        self.frozen = False
        self.opened()

    def now(self) -> float:
        """Return the exchange's own time, for its rules: seconds since some moment."""
        return time.monotonic() * self._setting.faster

    def now_ns(self) -> int:
        """Return the same in nanoseconds, for a Rate."""
        return int(self.now() * 1e9)

    def timer(self, seconds: float, action: Callable[[], None]) -> Timer:
        self._timers.append(timer := Timer(seconds, action, self.now))
        return timer

    def send(self, message: Any) -> None:
        self._out.append(self.encode(message))
        self.sent()

    def ping(self, payload: bytes) -> None:
        """Send a ping frame."""
        self._out.append(Ping(payload))

    def end(self, code: int | None = None, reason: str = "") -> None:
        """End the connection, after what has been sent; without a code there is no close frame."""
        self.ending = self.ending or Ending(code, reason)

    def offers(self, channel: object) -> bool:
        return channel in self.channels and channel not in self._setting.refused

    def subscribe(self, channel: str, market: str, topic: str = "", depth: int | None = None) -> Subscription:
        """Return the subscription of a known channel and market; a new one if there is none."""
        if market not in self._markets:
            self._markets[market] = Market(market, self.markets[market], self._setting.seed)
        found = self._markets[market]
        key = (channel, topic or market)
        return self.subscriptions.setdefault(key, Subscription(channel, found, topic, View(found, depth)))

    # The contract of Feed

    def receive(self, payload: bytes) -> list[bytes]:
        text = payload.decode(errors="replace")
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = text
        if self.ending is None:
            self.received(message)
        return self._sent()

    def take(self, now: float, limit: int) -> list[bytes]:
        for timer in self._timers:
            if self.ending is None:
                timer.run(self.now())
        if self._producing():
            for _ in range(due := self._pace.due(now, limit)):
                self.event(self._next())
            self._pace.count(due)
        else:
            self._pace.rest()
        return self._sent()

    def wait(self, now: float) -> float:
        if self._out:
            return 0.0
        at = min((timer.at for timer in self._timers), default=math.inf)
        wait = max(0.0, (at - self.now()) / self._setting.faster)
        return min(wait, self._pace.wait(now)) if self._producing() else wait

    def lose(self, count: int, channel: str) -> None:
        kept, self._out = self._out, []
        for subscription in self.subscriptions.values():
            if channel in ("", subscription.channel):
                for _ in range(count):
                    self.event(subscription)
        self._out = kept

    def freeze(self) -> None:
        self.frozen = True

    def mute(self, channel: str) -> None:
        """faults.py offers no such fault for an exchange."""

    def fail(self, code: int) -> bytes:
        """faults.py offers no such fault for an exchange."""
        return b""

    def _producing(self) -> bool:
        return self.ending is None and not self.frozen and any(self.channels[key[0]] for key in self.subscriptions)

    def _next(self) -> Subscription:
        subscriptions = list(self.subscriptions.values())
        [chosen] = self.random.choices(subscriptions, [self.channels[each.channel] for each in subscriptions])
        return chosen

    def _sent(self) -> list[bytes]:
        out, self._out = self._out, []
        return out


def milliseconds() -> int:
    """Return Unix milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339() -> str:
    """Return the time as RFC 3339 has it, with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def pairs(levels: Iterable[tuple[int, int]], market: Market) -> list[list[str]]:
    """Return levels of a book as most exchanges write them: pairs of texts, a price and a size."""
    return [[market.price(price), market.size(size)] for price, size in levels]
