"""The contract of one connection to an exchange: data in, data out. No sockets, no clock reads, no files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec

from ssmd.contracts.events import Asked, ChannelState, Event
from ssmd.contracts.http import HttpRequest
from ssmd.contracts.listing import Listing
from ssmd.errors import SsmdError

__all__ = [
    "CHAIN",
    "COUNTER",
    "LOSS_NOT_DETECTED",
    "NO_NUMBERS_YET",
    "RANGE",
    "Exchange",
    "Found",
    "Head",
    "HeadDecoder",
    "Inspection",
    "Inspector",
    "MessageReader",
    "Opening",
    "SnapshotPolicy",
]

COUNTER, RANGE, CHAIN = "counter", "range", "chain"
"""How lost messages show: each message has a number, one more than the one before; or its first and last number; or its
own number and that of the message before it. Only a counter says how many messages were lost."""

LOSS_NOT_DETECTED = "lost messages cannot be detected, because it is not known whether and where messages are numbered"
"""What people should know where a dialect finds no sequence."""

NO_NUMBERS_YET = "no message so far has the numbers that `paths.sequence` names, so lost messages would not show"
"""What people should know as long as an Inspector with a sequence has found no number."""


class SnapshotPolicy(NamedTuple):
    """When a dialect asks for fresh order books."""

    after_gap: str = "request"
    """request, or end: the run ends with Disconnected at a gap of a channel with books."""
    daily: bool = True
    """Whether it asks for all books when a UTC day begins, so that each day's file stands alone."""
    per_second: int = 200
    """How many books it asks for in a second."""


class Opening(NamedTuple):
    """How the connection is to be opened."""

    url: str
    """A ws:// or wss:// URL; may hold the value of a key."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Further HTTP headers of the handshake."""
    subprotocol: str = ""
    """The subprotocol to ask for, which the exchange must choose; empty for none."""
    decompress: str = ""
    """How the messages are compressed: gzip or deflate; empty when they are not."""
    hidden: Collection[str] = ()
    """What the log and errors must not show, even where the exchange repeats it: the values of keys and of headers, and
    what was taken from the answer to prepare(), except addresses. It holds as long as the connection lasts."""
    signed: bool = False
    """Whether a key is used in `url` or `headers`, so that a refusal may be about the key."""


class HeadDecoder:
    """How a dialect decodes the head of each message. Who looks at more of a message than the head puts a function
    into `decode` that does both at once: to decode a message twice would cost too much.

    `type`: a Struct of msgspec for the heads.
    """

    def __init__(self, type: type[msgspec.Struct]) -> None:
        self.type = type
        decode = msgspec.json.Decoder(type).decode
        self.decode: Callable[[list[bytes]], list[Any]] = lambda payloads: list(map(decode, payloads))
        """Return for each message an object with the attributes of a `type`, and the values that it would have.

        Raises ValueError or RecursionError when one of them is not JSON, or has no such head."""


class Head(Protocol):
    """What a message says of itself. The empty text means that it has no type."""

    @property
    def type(self) -> str: ...
    @property
    def sid(self) -> int: ...
    @property
    def seq(self) -> int | None:
        """None for a message without a number."""


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
    """Replies to send now, in order, each as one text message."""
    uneven: bool = False
    """Whether `heads` has a number that is not one more than the one before it, although nothing is missing there."""
    data: bool = True
    """Whether one of the payloads is data. False: all of them only show that the exchange is alive, as heartbeats."""
    due: bool = False
    """Whether something is to be sent now that depends on the time, or on the pace: tick() is called at once."""


class Inspector(Protocol):
    """The part of a dialect that reads messages, live or from a file; one instance for one connection."""

    sequence: str
    """How lost messages show: COUNTER, RANGE, CHAIN, or empty when loss cannot be detected."""

    @property
    def shows_loss(self) -> bool:
        """Whether lost messages would show by now. A dialect that has where numbers are from a description knows that
        only after the first number: until then, the description may be wrong.
        """

    def inspect(self, payloads: list[bytes]) -> Inspection:
        """Look through what arrived. Never raises, whatever the bytes are."""

    def sequence_name(self, sid: int) -> str:
        """Return what the numbers of a `sid` count, for people, such as a market; empty when the ledger says it."""


Found = tuple[str, str]
"""The type and the market of a message; empty where it has none."""


class MessageReader(Protocol):
    """The part of a dialect that finds the type and the market of recorded messages; it keeps no state."""

    type_field: str
    """Where a message has its type, for people, such as `type`; empty when that is not known."""
    type_path: Sequence[str]
    """The names of the fields that lead to a text which is the type; empty where the type is found in another way."""
    market_field: str
    """Where it has its market."""

    def read(self, payloads: Sequence[bytes]) -> Sequence[Found]:
        """Return the type and the market of each message. Raises ValueError when one of them is not valid JSON."""


class Exchange(Inspector, Protocol):
    """A dialect for one connection."""

    loss_note: str
    """What people should know about lost messages when `sequence` is empty, such as LOSS_NOT_DETECTED."""

    @property
    def heads(self) -> HeadDecoder | None:
        """How it decodes the head of each message; None when that cannot be shared."""

    @property
    def tick_seconds(self) -> float | None:
        """tick() is called about this many seconds after the connection, and again after each such call; it may change
        with each. None from the beginning: never, which costs nothing.
        """

    @property
    def idle(self) -> str:
        """Why this connection asks for nothing, so that no message is expected, as a sentence for people; empty when
        it does ask for something. It stays the same.
        """

    def prepare(self, now_ms: int) -> HttpRequest | None:
        """Return a request to make before the connection is opened, at the time (Unix ms); None for none."""

    def prepared(self, answer: bytes) -> None:
        """Take the body of the answer to prepare().

        Raises ConnectError when something is missing in it. The error says what; the caller adds the host.
        """

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        """Return how to open the connection to a feed's endpoint, at the time (Unix ms). `endpoint` may have
        placeholders.
        """

    def commands(self) -> Sequence[bytes]:
        """Return the messages to send once connected, in order, each as one text message; those for which the pace has
        no room yet come with tick().
        """

    def unsent(self) -> int:
        """Return how many messages that belong to the opening are still to be sent, at the pace of the feed."""

    def asked(self) -> Sequence[Asked]:
        """Return, for the ledger, what the opening asks for; empty from a dialect that does not know channels."""

    def tick(self, now_ms: int) -> Inspection:
        """Return the messages to send now, and the events that go with them.

        It is called when time has passed, and after an Inspection that is `due`. `now_ms` is the time in Unix
        milliseconds. Only `commands`, `events` and `failure` of the Inspection count.
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

    def expects_text(self, payload: bytes) -> bool:
        """Return whether a message that is not JSON, such as `pong`, is to be expected. May be called in a thread."""

    def hidden(self) -> Collection[str]:
        """Return what the log must not show of a message now, although the exchange repeats it: see Opening.hidden."""

    @property
    def listing(self) -> Listing | None:
        """How the markets are found that the environment follows; None when it follows none."""

    def reconfigure(self, subscribe: Any) -> None:
        """Take another `subscribe` section, which is valid, on the open connection. The commands come with tick().

        Raises ConfigError when the connection cannot change in that way; then nothing has changed.
        """

    def closed(self, code: int | None, reason: str) -> SsmdError | None:
        """Return the error that ends the run when the exchange has closed the connection with this code and reason;
        None for the usual Disconnected. `reason` is fit for a log.
        """
