"""The contract of a writer, which keeps the messages, and what travels to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from ssmd.contracts.companion import Companion

__all__ = ["Batch", "Note", "Reads", "Writer", "time_at"]

Reads = Sequence[tuple[int, int]]
"""For each read of the socket, in order: the time right after it, ns since the epoch, and how many messages it has
completed. The times never decrease."""


def time_at(reads: Reads, place: int) -> int:
    """Return the time of the message with this index, in ns since the epoch."""
    for received_ns, count in reads:
        if place < count:
            return received_ns
        place -= count
    return reads[-1][0]


class Note(NamedTuple):
    """An event of the capture, for the ledger of a writer that keeps one."""

    event: str
    """One of the names in store/ledger.py."""
    ts_ns: int
    """Wall clock, ns since the epoch."""
    place: int = 0
    """The index of the message of its batch that it belongs before; after all of them when it is larger."""
    fields: Mapping[str, object] = MappingProxyType({})
    """Further facts; plain JSON, and never the value of a key."""


class Batch(NamedTuple):
    """What travels from the reader to the writer: the messages of one or more socket reads, all of one day."""

    feed: str
    received_ns: int
    """Wall clock, ns since the epoch, taken right after the last read; never decreases within a run."""
    data: bytes
    """What the writer's encode() made of the messages; empty when there are only notes."""
    messages: int
    """How many messages `data` holds."""
    notes: Sequence[Note] = ()
    """Events before, between and after these messages, in order of `place`; nearly always empty."""


class Writer(Protocol):
    """Keeps the messages. It needs no locks: the reader's greenlet alone calls encode(), and no two of the other
    methods run at the same time.

    A class in the catalog has a `Config`, a metadata Model of the environment's `storage` section, and is made as
    `cls(config, feed, shard=, status=, clock=)`. With a shard, other processes write the feed's other shards.
    """

    location: str
    """Where it is writing now, for people: a path or a URL."""

    state_folder: Path | None
    """A local folder for the small files that a feed keeps from run to run; None when there is none."""

    def companions(self) -> Sequence[Companion]:
        """The processes that run beside the collection for this writer, in the order in which they start."""

    def open(self) -> None:
        """Make the output ready, before anything is received; called once. Raises OutputError."""

    def encode(self, reads: Reads, payloads: list[bytes], decoded: bool) -> bytes:
        """Return the `data` of a Batch with these messages, which are unchanged and in wire order.

        The reader calls it right after it has looked at them, and waits for it; for large messages it runs in a thread.
        It only computes: it never raises and never blocks.
        `decoded`: a JSON decoder has accepted every message.
        """

    def write(self, batch: Batch) -> None:
        """Take the batch; it may be held back until flush(). Raises WriteError.

        Its notes go into the ledger, if this writer keeps one, before the messages that follow them.
        """

    def flush(self) -> None:
        """Hand what was taken to the operating system, as whole lines, before returning. Raises WriteError."""

    def sync(self) -> float | None:
        """Start to make durable what is due, without waiting for it; called at least once a second.

        Returns in how many seconds it wants to be called again, None when that second is soon enough. Raises WriteError
        when an earlier sync has failed.
        """

    def close(self) -> None:
        """Flush, make everything durable and close the output. Idempotent. Raises WriteError."""
