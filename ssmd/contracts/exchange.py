"""The contract of an exchange's dialect: data in, data out. No sockets, no clock reads, no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ssmd.contracts.configuration import FieldProblem
from ssmd.errors import SsmdError

__all__ = ["Acknowledged", "Dialect", "Exchange", "Gap", "Head", "Inspection", "Inspector"]


class Acknowledged(NamedTuple):
    """The exchange has confirmed a subscription."""

    channel: str
    sid: int | None
    place: int = 0
    """The index of the payload that says so."""
    tickers: Sequence[str] = ()
    """The markets that were asked for; empty when all were."""
    acknowledged: int | None = None
    """How many markets the answer repeats; None when it repeats none."""


class Gap(NamedTuple):
    """A number of a subscription's sequence did not follow the one before it."""

    sid: int
    expected: int
    got: int
    place: int = 0
    """The index of the payload that has `got`."""

    @property
    def missing(self) -> int:
        """How many messages were lost; 0 when the sequence went backwards."""
        return max(0, self.got - self.expected)


class Head(Protocol):
    """What a message says of itself. Zero and the empty text mean that it does not say."""

    @property
    def type(self) -> str: ...
    @property
    def sid(self) -> int: ...
    @property
    def seq(self) -> int: ...


class Inspection(NamedTuple):
    """What a dialect found in one list of payloads."""

    decoded: bool
    """A JSON decoder has accepted every payload, so that the writer need not check them again."""
    events: Sequence[Acknowledged | Gap] = ()
    exchange_ms: int | None = None
    """The exchange's own time of the newest message, Unix milliseconds; None when the dialect does not know it."""
    failure: SsmdError | None = None
    """Set when these messages say that a subscription is refused or over: the run must end with it."""
    heads: Sequence[Head] = ()
    """One for each message, in order; empty from a dialect that does not read them. `events` then has a Gap for each
    number that is not one more than the one before it of its sid, also for a repeated number."""
    commands: Sequence[bytes] = ()
    """Answers to send now, in order, each as one text message."""


class Inspector(Protocol):
    """The part of a dialect that reads messages, live or from a file; one instance for one connection."""

    def inspect(self, payloads: list[bytes]) -> Inspection:
        """Look through what arrived. Never raises, whatever the bytes are."""


class Exchange(Inspector, Protocol):
    """A dialect for one connection."""

    tick_seconds: float | None
    """About how often tick() is called, the first time after so many seconds; None for never, which costs nothing."""

    def headers(self, path: str, now_ms: int) -> Mapping[str, str]:
        """Return the HTTP headers that sign the handshake for the requested path and the time (Unix ms)."""

    def commands(self) -> Sequence[bytes]:
        """Return the messages to send once connected, in order, each as one text message."""

    def tick(self, now_ms: int) -> Sequence[bytes]:
        """Return the messages to send because time has passed; `now_ms` is the time in Unix milliseconds."""

    def unacknowledged(self) -> Sequence[str]:
        """Return the subscriptions that were asked for and are not confirmed yet, as text for the log."""


class Dialect(Protocol):
    """How an Exchange is made: the catalog of exchanges holds classes that keep this contract."""

    def __call__(self, keys: Mapping[str, str], subscribe: Mapping[str, Any]) -> Exchange:
        """Return the Exchange of one connection, made of key fields by name and the environment's `subscribe` section.

        Raises ConfigError, which never holds the value of a key.
        """

    def check(self, subscribe: Mapping[str, Any]) -> Iterable[FieldProblem]:
        """Report what is wrong in a `subscribe` section; needs no keys."""

    def inspector(self) -> Inspector:
        """Return one for a connection whose messages were recorded; needs no keys."""
