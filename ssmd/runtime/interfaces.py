"""The contracts between the parts of a run; the docstrings are what an implementation must keep.

A run is a Connector that yields what an exchange sends, an Exchange that understands just enough of
it, and a Writer that keeps it. The runner joins them and is the only one to call them:

    connector.connect()
    for payloads in connector.messages():           in the reader greenlet
        exchange.inspect(payloads)
        writer.encode(payloads)
    writer.write(Batch(...)); writer.flush()        in the writer greenlet
    connector.close(); writer.close()               at the end
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from ssmd.errors import SsmdError

__all__ = [
    "Acknowledged",
    "Batch",
    "Connector",
    "Dialect",
    "Exchange",
    "FieldProblem",
    "Gap",
    "Head",
    "Inspection",
    "Inspector",
    "KeyResolver",
    "Note",
    "Service",
    "Writer",
]


class Note(NamedTuple):
    """Something that happened to the capture, for the ledger of a writer that keeps one."""

    event: str
    """One of the names in archive/ledger.py."""
    ts_ns: int
    """Wall clock in ns since the epoch."""
    place: int = 0
    """It belongs before this message of its batch; behind them all when there are no more."""
    fields: Mapping[str, object] = MappingProxyType({})
    """What there is to tell beside that; plain JSON, and never the value of a key."""


class Batch(NamedTuple):
    """What travels from the reader to the writer: the messages that one socket read completed."""

    feed: str
    received_ns: int
    """Wall clock in ns since the epoch, taken right after that read; never decreases within a run."""
    data: bytes
    """What the writer's encode() made of the messages; empty when there are only notes."""
    messages: int
    """How many they are."""
    notes: Sequence[Note] = ()
    """What happened before, between and after these messages, in order of `place`; nearly always nothing."""


class Connector(Protocol):
    """The way to an exchange. It owns the socket, and knows no exchange."""

    def connect(self) -> None:
        """Connect and send the opening commands; called once, before messages().

        Raises ConnectError when the exchange cannot be reached in time, AuthError when it refuses the keys.
        """

    def messages(self) -> Iterator[list[bytes]]:
        """Yield what arrives, one list of whole messages for each read; block in between.

        Ends by raising Disconnected when the feed has ended for whatever reason, or by returning after
        close(). Everything that was received whole is yielded first.
        """

    def close(self) -> None:
        """Hang up. Idempotent, never raises, may be called from another greenlet while messages() blocks."""


class Acknowledged(NamedTuple):
    """The exchange has confirmed a subscription."""

    channel: str
    sid: int | None
    place: int = 0
    """Which of the payloads says so."""
    tickers: Sequence[str] = ()
    """Those that were asked for; empty when the question was not about single ones."""
    acknowledged: int | None = None
    """How many of them the answer repeats, where it does."""


class Gap(NamedTuple):
    """A number of a subscription's sequence did not follow the one before it."""

    sid: int
    expected: int
    got: int
    place: int = 0
    """Which of the payloads has `got`."""

    @property
    def missing(self) -> int:
        """How many messages were lost; 0 when the sequence went backwards."""
        return max(0, self.got - self.expected)


class Head(Protocol):
    """What a message says of itself. A zero or an empty text stands for what it does not say."""

    @property
    def type(self) -> str: ...
    @property
    def sid(self) -> int: ...
    @property
    def seq(self) -> int: ...


class Inspection(NamedTuple):
    """What an exchange's dialect made of one list of payloads."""

    decoded: bool
    """A JSON decoder has accepted every payload, so that the writer need not ask one again."""
    events: Sequence[Acknowledged | Gap] = ()
    exchange_ms: int | None = None
    """The exchange's own time of the newest message, Unix milliseconds, where the dialect knows it."""
    failure: SsmdError | None = None
    """Set when these messages say that the subscription is refused or over: the run must end with it."""
    heads: Sequence[Head] = ()
    """Of each message, in order; empty from a dialect that does not read them. Among `events` is a Gap then for each
    number that is not one more than the one before it of its sid, for a repeated one too."""


class FieldProblem(NamedTuple):
    """Something wrong in a section of the metadata that only a dialect understands."""

    path: tuple[str | int, ...]
    """Where, from the section's own root: ("messages", 0)."""
    message: str
    """What is wrong and what to do; reads on after the name of the field."""
    warning: bool = False


class Inspector(Protocol):
    """The part of a dialect that understands what came, now or from a file; one instance for one connection."""

    def inspect(self, payloads: list[bytes]) -> Inspection:
        """Look through what arrived. Never raises, whatever the bytes are."""


class Exchange(Inspector, Protocol):
    """A dialect: data in, data out. No sockets, no clock reads, no files; one instance serves one connection."""

    def headers(self, path: str, now_ms: int) -> Mapping[str, str]:
        """The HTTP headers that sign the handshake, given the path to be requested and the time (Unix ms)."""

    def commands(self) -> Sequence[bytes]:
        """The messages to send once connected, in order, each one text frame."""

    def unacknowledged(self) -> Sequence[str]:
        """The subscriptions that were asked for and not confirmed yet, as text for the log."""


class Dialect(Protocol):
    """How an Exchange is made: the catalog of exchanges holds classes that keep this."""

    def __call__(self, keys: Mapping[str, str], subscribe: Mapping[str, Any]) -> Exchange:
        """One connection's Exchange, from key fields by name and an environment's `subscribe` section.

        Raises ConfigError, which never holds the value of a key.
        """

    def check(self, subscribe: Mapping[str, Any]) -> Iterable[FieldProblem]:
        """What is wrong in a `subscribe` section; needs no keys."""

    def inspector(self) -> Inspector:
        """One for a connection whose messages were kept; needs no keys."""


class Writer(Protocol):
    """Where messages are kept. It needs no locks: encode() is called by the reader's greenlet alone, all else by one at
    a time.
    """

    location: str
    """Where it is writing now, for people: a path or a URL."""

    def open(self) -> None:
        """Make the output ready, before anything is received; called once. Raises OutputError."""

    def encode(self, received_ns: int, payloads: list[bytes], decoded: bool) -> bytes:
        """The `data` of a Batch with these messages, which are untouched and in wire order.

        Called by the reader right after they were received. Only computes: it never raises, and never blocks.
        `decoded`: a JSON decoder has accepted every one.
        """

    def write(self, batch: Batch) -> None:
        """Take the batch; it may be held back until flush(). Raises WriteError.

        Its notes go into the ledger, if this writer keeps one, and then before the messages that follow them.
        """

    def flush(self) -> None:
        """Hand what was taken to the operating system, as whole lines, before returning. Raises WriteError."""

    def sync(self) -> None:
        """Start to make durable what is due, without waiting for it; called at least once a second.

        Raises WriteError when an earlier sync has failed.
        """

    def close(self) -> None:
        """Flush, make everything durable and let go of the output. Idempotent. Raises WriteError."""


class KeyResolver(Protocol):
    """Turns a key's source, as the environment names it, into values."""

    def resolve(self, source: str) -> dict[str, str]:
        """Every variable that the source names, with its value.

        Raises ResolveError naming all that are missing, and never a value.
        """


class Service(Protocol):
    """Something that runs beside the collection and must not end before it: the probes, a simulator."""

    def serve(self) -> None:
        """Serve until stop(); returning earlier, or raising, ends the run."""

    def stop(self) -> None:
        """Stop serving. Idempotent; may be called from another greenlet."""
