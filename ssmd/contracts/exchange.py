"""The contract of an exchange's dialect: data in, data out. No sockets, no clock reads, no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.events import Asked, ChannelState, Event
from ssmd.errors import SsmdError

__all__ = ["Dialect", "Exchange", "Head", "Inspection", "Inspector", "SnapshotPolicy"]


class SnapshotPolicy(NamedTuple):
    """When a dialect asks for fresh order books."""

    after_gap: str = "request"
    """request, or end: the run ends with Disconnected at a gap of a channel with books."""
    daily: bool = True
    """Whether it asks for all books when a UTC day begins, so that each day's file stands alone."""
    per_second: int = 200
    """How many books it asks for in a second."""


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
    events: Sequence[Event] = ()
    exchange_ms: int | None = None
    """The exchange's own time of the newest message, Unix milliseconds; None when the dialect does not know it."""
    failure: SsmdError | None = None
    """Set when these messages say that a subscription is refused or over: the run must end with it."""
    heads: Sequence[Head] = ()
    """One for each message, in order; empty from a dialect that does not read them. Unless `uneven` is set, `events`
    has a Gap for each number that is not one more than the one before it of its sid."""
    commands: Sequence[bytes] = ()
    """Answers to send now, in order, each as one text message."""
    uneven: bool = False
    """Whether `heads` has a number that is not one more than the one before it, although nothing is missing there."""


class Inspector(Protocol):
    """The part of a dialect that reads messages, live or from a file; one instance for one connection."""

    numbered: bool
    """Whether its messages have sequence numbers, so that missing ones show. Without them, loss cannot be detected."""

    def inspect(self, payloads: list[bytes]) -> Inspection:
        """Look through what arrived. Never raises, whatever the bytes are."""


class Exchange(Inspector, Protocol):
    """A dialect for one connection."""

    tick_seconds: float | None
    """tick() is called about once in this many seconds after the connection; None: never, which costs nothing."""

    def headers(self, path: str, now_ms: int) -> Mapping[str, str]:
        """Return the HTTP headers that sign the handshake for the requested path and the time (Unix ms)."""

    def commands(self) -> Sequence[bytes]:
        """Return the messages to send once connected, in order, each as one text message."""

    def asked(self) -> Sequence[Asked]:
        """Return, for the ledger, what commands() asks for; empty from a dialect that does not know channels."""

    def tick(self, now_ms: int) -> Inspection:
        """Return the messages to send because time has passed, and the events that go with them.

        `now_ms` is the time in Unix milliseconds. Only `commands`, `events` and `failure` of the Inspection count.
        """

    def unacknowledged(self) -> Sequence[str]:
        """Return the subscriptions that were asked for and are not confirmed yet, as text for the log."""

    def channels(self) -> Sequence[ChannelState]:
        """Return the state of every channel that was asked for; empty from a dialect that does not know channels.

        It is called once a second, and never waits.
        """

    def unheard(self, channel: str) -> Sequence[str]:
        """Return the markets that were asked for on a channel and from which no message has come."""

    def unconfirmed(self, channel: str) -> Sequence[str]:
        """Return the markets that were asked for on a channel and that the exchange has not confirmed."""


class Dialect(Protocol):
    """How an Exchange is made: the catalog of exchanges holds classes that keep this contract."""

    def __call__(self, keys: Mapping[str, str], subscribe: Any, snapshots: SnapshotPolicy) -> Exchange:
        """Return the Exchange of one connection, made of key fields by name and the environment's `subscribe` section.

        `subscribe`: a mapping, or a list of mappings. Raises ConfigError, which never holds the value of a key.
        """

    def check(self, subscribe: Any) -> Iterable[FieldProblem]:
        """Report what is wrong in a `subscribe` section; needs no keys."""

    def check_keys(self, fields: Sequence[str]) -> Iterable[FieldProblem]:
        """Report what is wrong with the names of the key fields that an environment has for the exchange.

        The path of a problem is the position of the field, as in `(0,)`; it is empty for a field that is missing.
        """

    def channel_names(self, subscribe: Any) -> Sequence[str]:
        """Return the channels that a valid `subscribe` section asks for; empty when the dialect knows none."""

    def book_channels(self, subscribe: Any) -> Sequence[str]:
        """Return those of channel_names() that carry order books; without any, `snapshots` has no effect."""

    def inspector(self) -> Inspector:
        """Return one for a connection whose messages were recorded; needs no keys."""
