"""The contract of an exchange's dialect: data in, data out. No sockets, no clock reads, no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ssmd.contracts.configuration import FieldProblem
from ssmd.errors import SsmdError

__all__ = [
    "Acknowledged",
    "Asked",
    "ChannelState",
    "Dialect",
    "Event",
    "Exchange",
    "Gap",
    "Head",
    "Inspection",
    "Inspector",
    "Refused",
    "SnapshotPolicy",
    "SnapshotsReceived",
    "SnapshotsRequested",
]


class Asked(NamedTuple):
    """The dialect asks for the messages of a channel, or stops asking for them, with commands that are sent now."""

    subscription: int
    """Its place in the environment's `subscribe` list, from 1."""
    channel: str
    action: str
    """subscribe, add or remove."""
    markets: Sequence[str] | None
    """The markets that the action is about; None for all."""
    commands: Sequence[Mapping[str, Any]]
    """The commands, as JSON objects, before keys are put in."""


class Acknowledged(NamedTuple):
    """The exchange has confirmed a subscription."""

    channel: str
    sid: int | None
    place: int = 0
    """The index of the payload that says so."""
    tickers: Sequence[str] = ()
    """The markets that were asked for; empty when all were."""
    acknowledged: int | None = None
    """How many of them the answer repeats; None when it repeats none."""


class Gap(NamedTuple):
    """A number of a subscription's sequence did not follow the one before it."""

    sid: int
    expected: int
    got: int
    place: int = 0
    """The index of the payload that has `got`."""
    books: str = ""
    """The channel whose order books are not known any more because of it; empty when no order books are concerned."""

    @property
    def missing(self) -> int:
        """How many messages were lost; 0 when the sequence went backwards."""
        return max(0, self.got - self.expected)


class Refused(NamedTuple):
    """The exchange has refused a part of what was asked for; the run goes on with the rest."""

    channel: str
    code: int | None
    text: str
    """What the exchange said, how many markets are missing, and what to do."""
    place: int = 0
    """The index of the payload that says so."""
    for_now: bool = False
    """Whether ssmd asks for it again, so that it may still come."""


class SnapshotsRequested(NamedTuple):
    """The dialect asks for fresh order books; the command is sent now."""

    sid: int
    channel: str
    markets: Sequence[str]
    why: str
    """gap, day, or start: the first snapshot has not come."""


class SnapshotsReceived(NamedTuple):
    """The order books of a subscription are known again: from here on, the day's file alone gives all of them."""

    sid: int
    channel: str
    markets: int
    """How many books are known."""
    place: int = 0
    """One more than the index of the payload that holds the last snapshot."""
    missing: Sequence[str] = ()
    """The markets whose book is missing: the exchange was asked several times, and has sent no snapshot."""


Event = Asked | Acknowledged | Gap | Refused | SnapshotsRequested | SnapshotsReceived
"""What a dialect reports about a connection. One with a `place` belongs there, any other before all payloads."""


class ChannelState(NamedTuple):
    """What was asked for on one channel, and how much of it is confirmed and heard from."""

    channel: str
    subscription: int
    """Its place in the environment's `subscribe` list, from 1."""
    asked: int | None
    """How many markets were asked for; None when all were."""
    confirmed: int | None
    """How many of them the exchange has confirmed; None when all were asked for."""
    heard: int | None
    """From how many of them a message has come; None when all were asked for."""
    pending: bool
    """Whether the exchange has still to answer a command about it."""
    activity: int
    """A number that changes when a message of the channel comes; 0 before the first."""
    books_pending: int | None = None
    """How many order books are not known, while their snapshots are still to come; None without order books."""
    books_missing: int | None = None
    """How many order books the exchange does not send, although it was asked several times; None as above."""
    may_be_silent: bool = False
    """Whether it may have nothing to send for days, as a channel that is private to an account."""


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
