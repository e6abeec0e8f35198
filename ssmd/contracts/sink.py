"""The contract of a sink: one engine's copy of what a feed has recorded, which the relay extends block by block.

The cursor is in the engine, never in a local file: with each block the sink writes the position at which the block
ends, in one step with it where the engine can do that. So what the engine has and how far it is cannot differ.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ssmd.contracts.exchange import Found

__all__ = ["Block", "Copied", "End", "Position", "Sink", "Traits"]


class Position(NamedTuple):
    """A place between two lines of a feed, or at its beginning. Stable: files are only appended to, never rewritten.

    Positions of one shard sort by `day` and `offset`.
    """

    feed: str
    shard: str
    """The shard's label, such as `2of4`; empty without shards."""
    day: str
    """YYYY-MM-DD, UTC."""
    offset: int
    """How many bytes of the day's lines are before it. A compressed day counts as its lines do."""
    line: int
    """How many lines of the day are before it."""

    @property
    def place(self) -> str:
        """Return it as people write it, and as `ssmd ship --resume-at` takes it: {day}/{offset}."""
        return f"{self.day}/{self.offset}"

    def encode(self) -> bytes:
        """Return it as the JSON object that engines keep: {"feed","shard","day","offset","line"}."""
        return json.dumps(self._asdict(), separators=(",", ":")).encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> Position:
        """Return the position that encode() made. Raises ValueError for anything else."""
        try:
            found = json.loads(data)
            position = cls(*(found[name] for name in cls._fields))
            if all(isinstance(text, str) for text in position[:3]) and all(type(n) is int for n in position[3:]):
                return position
        except (ValueError, TypeError, LookupError):
            pass
        raise ValueError("it is no position of ssmd")


class End(NamedTuple):
    """Where an engine's copy ends, and with which line: another file may have another line there."""

    position: Position
    ts: str = ""
    """When the last line was received, as in the line; empty where that is not known."""
    checksum: str = ""
    """The CRC-32 of the last line, newline included, as eight hexadecimal digits; empty where it is not known."""

    @classmethod
    def of(cls, position: Position, line: bytes, ts: str) -> End:
        """Return the end of a copy whose last line is `line`, received at `ts`."""
        return cls(position, ts, f"{zlib.crc32(line):08x}")

    def encode(self) -> bytes:
        """Return it as the JSON object that engines keep: that of its position, with "ts" and "checksum"."""
        fields = {**self.position._asdict(), "ts": self.ts, "checksum": self.checksum}
        return json.dumps(fields, separators=(",", ":")).encode("ascii")

    @classmethod
    def decode(cls, data: bytes) -> End:
        """Return what encode() made, or Position.encode() of a version that kept only that. Raises ValueError."""
        position, found = Position.decode(data), json.loads(data)
        return cls(position, str(found.get("ts", "")), str(found.get("checksum", "")))


class Block(NamedTuple):
    """Lines in a row that are durable, at least one. All are of one day, one session and one dialect.

    The sequences are parallel: one element for each line.
    """

    start: Position
    """Where the first line begins."""
    end: Position
    """Where the last line ends."""
    session: str
    """When the connection that received them began in the ledger of the day, as `began` of the manifest's sessions has
    it: 2026-01-31T10:30:00.123456Z. Empty when no ledger says it."""
    exchange: str
    """The name of the dialect of their messages, as in the ledger; empty when no ledger says it."""
    lines: Sequence[bytes]
    """As in the file, each with its newline."""
    payloads: Sequence[bytes]
    """The exchange's own bytes, also of a message that was kept as a string."""
    found: Sequence[Found]
    """The type and the market of each message; empty where it has none."""


class Copied(NamedTuple):
    """A message of the engine's copy, read back."""

    where: str
    """Where the engine has it, for people: `sequence 17`, `partition 0, offset 17`."""
    day: str
    line: int
    """The number of its line within the day, from 1."""
    ts: str
    """As in its line."""
    payload: bytes
    name: str = ""
    """Under what the engine keeps it, as Sink.names() has it."""


class Traits(NamedTuple):
    """What an engine guarantees. The conformance suite proves what is declared here."""

    fences: bool
    """A second relay for the same feed is refused, or ends the first one's writing."""
    atomic: bool
    """All of a block is in the engine, or nothing of it."""
    exactly_once: bool
    """A block that was sent again, because its acknowledgement was lost, is there once."""
    numbers: bool = True
    """Each message of the copy has the number of its line with it. Without that, copies() counts."""


class Sink(Protocol):
    """One engine's copy of one feed or shard. Opened by EngineTransport.open(), which says what it raises.

    No method may hold up the process for ever: each has a deadline of its own. None is called from two threads.
    """

    traits: Traits
    most_lines: int
    """The largest block that send() takes, in lines."""
    most_bytes: int
    """The largest block that send() takes, in bytes of payloads, unless a single message is larger."""
    lost: str
    """Which of the messages before the position are lost, known after resume(): a sentence for people, empty for none.
    Only for what cannot be sent again: what resume() leaves out of the position is."""

    def check(self) -> Sequence[str]:
        """Return warnings about the engine's settings, each a sentence with its remedy; empty when all is right.

        Raises EngineError when nothing could be sent: no such stream, too small limits.
        """

    def end(self) -> End | None:
        """Return where the engine's copy ends; None when it has nothing of this feed.

        Another relay that writes is not disturbed. While it sends, this may be an earlier end of the copy, or None.
        Raises EngineError, and EngineMismatch for a position of another feed.
        """

    def resume(self) -> Position | None:
        """Become the writer, and return where the engine's copy ends, asked of the engine itself; None when it has
        nothing of this feed. No other relay can add to the copy from then on. Raises what end() raises.
        """

    def send(self, block: Block) -> None:
        """Write a block behind what is there. Returns when the engine has acknowledged all of it.

        `block.start` is what resume() or the last send() ended with, or a later position: a later day, or behind lines
        that ssmd did not write, which are in no block. Raises EngineError when it cannot be known whether the block is
        there: then only resume() shows it. Raises EngineFenced when another relay writes, and EngineMismatch for a
        message that this engine can never take.
        """

    def names(self, block: Block) -> Sequence[str]:
        """Return under what the engine keeps each message of a block, for people: its subject, its topic and key. Empty
        texts where messages have no name.
        """

    def copies(self, first_day: str | None = None) -> Iterator[Copied]:
        """Yield the messages of the engine's copy of this feed, in its order, up to its end by now.

        `first_day`: those of earlier days may be left out. Raises EngineError.
        """

    def close(self) -> None:
        """Close the connection. Idempotent, and raises nothing."""
