"""The contract of a connector, the way to an exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from ssmd.contracts.events import Event
from ssmd.contracts.writer import Reads

__all__ = ["Connector"]


class Connector(Protocol):
    """Owns the socket, and knows no exchange.

    A class in the catalog has a `Config`, a metadata Model of the fields that it adds to a feed's `versions[]`, and is
    made as `cls(endpoint, exchange, config, data_timeout_seconds=, direct=)`. It may have a `dialect_of`: given the
    exchange's dialect, it returns the one that the connector needs, with another `subscribe` section for example.
    """

    @property
    def decompress(self) -> str:
        """How the exchange compresses messages, which are yielded decompressed: gzip or deflate; empty for not at all.
        Known after connect().
        """

    @property
    def not_decompressed(self) -> int:
        """How many messages could not be decompressed, and were yielded as they came."""

    @property
    def unchanged(self) -> int | None:
        """How many messages were the same as the one before, and not yielded; None when every message is."""

    @property
    def missing(self) -> Sequence[str]:
        """The reasons why something that the connector itself asks for is not coming, one text each; nearly always
        empty. Read once a second.
        """

    def connect(self) -> None:
        """Connect and send the exchange's opening commands; called once, before messages().

        Raises ConnectError when the exchange cannot be reached in time, AuthError when it refuses the keys. The error's
        `wait_seconds` says how long the exchange asks to wait before the next attempt.
        """

    @property
    def held_ns(self) -> int | None:
        """When the first of the messages was received that messages() has not yielded yet, ns since the epoch; None
        when there is none.
        """

    def messages(self, clock: Callable[[], int]) -> Iterator[tuple[Reads, list[bytes]]]:
        """Yield whole messages as they arrive, and the reads that they came with; block in between.

        What comes within some milliseconds may be yielded together. `clock`: returns the time of a read, ns since the
        epoch.

        For an exchange with `tick_seconds` it also yields an empty list when that time has passed, whatever arrives;
        its one read has no messages, and the time.
        Ends by raising Disconnected when the feed has ended for whatever reason, or by returning after close().
        Everything that was received whole is yielded first. The dialect's Exchange.closed() may name another error.
        """

    @property
    def last_read(self) -> float | None:
        """When something last came over the connection, of any kind, in seconds of the monotonic clock; None before
        messages().
        """

    @property
    def events(self) -> Sequence[Event]:
        """What the connector itself has to report of the messages that messages() yielded last; nearly always empty."""

    def no_data(self) -> None:
        """Take note that the messages which were yielded last are no data: a silence of data goes on. Call it before
        the next list is taken.
        """

    def expect_silence(self, expected: bool) -> None:
        """Let a silence of data last for ever while it is expected; afterwards the time-out begins anew. Called from
        another greenlet, while messages() may block.
        """

    def send(self, commands: Sequence[bytes]) -> None:
        """Send further commands, each as one message, in order; called between two lists of messages().

        Raises Disconnected when the exchange does not take them within some seconds. When the connection has ended it
        does nothing, and messages() raises the reason, after what has arrived. After close() it does nothing.
        """

    def close(self) -> None:
        """Disconnect. Idempotent, never raises, may be called from another greenlet while messages() blocks."""
