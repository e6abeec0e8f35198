"""The sink of the transport `nats`: a feed's copy in a stream of JetStream.

Where the stream takes atomic batches, a block is one, with its position as the first message. Otherwise each message
of a block is stored only behind the one before it. Either way the server itself refuses a relay that does not know
where the copy ends, so that nothing is there twice and nothing is left out.
"""

from __future__ import annotations

import contextlib
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block, Copied, End, Position, Traits
from ssmd.errors import ConfigError, EngineError, EngineFenced, EngineMismatch
from ssmd.reading.ends import end_of
from ssmd.shipping.nats.address import servers_of
from ssmd.shipping.nats.connection import Connection
from ssmd.shipping.nats.copy import CopyReader
from ssmd.shipping.nats.login import login_of
from ssmd.shipping.nats.messages import EXPECTED_POSITION, EXPECTED_SEQUENCE, MESSAGE_ID, Messages, Written
from ssmd.shipping.nats.stream import WRONG_ID, WRONG_SEQUENCE, Refused, Stream
from ssmd.shipping.nats.transport import NatsConfig
from ssmd.shipping.subjects import Subjects, default_prefix

__all__ = ["NatsSink", "connect"]

_ATTEMPTS = 3


def connect(config: NatsConfig, environment: str, feed: str, shard: Shard, keys: Mapping[str, str]) -> NatsSink:
    """Return the sink for a feed or shard. Raises EngineError, and ConfigError for keys or a ca_file that are none."""
    context = None
    if config.ca_file is not None:
        try:
            context = ssl.create_default_context(cafile=config.ca_file)
        except OSError as error:
            reason = "it is no PEM file with certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"transport.ca_file: {config.ca_file} cannot be read: {reason}") from None
    name = f"ssmd ship {shard.stem(feed)}"
    prefix = config.subject_prefix or default_prefix(environment, feed)
    connection = Connection(servers_of(config.url), login_of(keys), context, name)
    with contextlib.ExitStack() as failed:
        failed.callback(connection.close)
        named = config.stream
        stream = Stream(connection, named) if named is not None else Stream.of(connection, f"{prefix}.>")
        sink = NatsSink(connection, stream, prefix, feed, shard)
        failed.pop_all()
    return sink


class NatsSink:
    """Keeps the Sink contract of contracts/sink.py."""

    most_lines = 999
    """A batch has at most 1,000 messages, and one of them is the position."""
    most_bytes = 4 * 1024 * 1024
    lost = ""

    def __init__(self, connection: Connection, stream: Stream, prefix: str, feed: str, shard: Shard) -> None:
        self._connection = connection
        self._stream = stream
        self._stem = shard.stem(feed)
        self._prefix = prefix
        self._subjects = subjects = Subjects(prefix)
        self._copy = CopyReader(self._stream, prefix, feed, shard)
        self._position_subject = subjects.position(self._copy.nothing)
        self._settings = self._stream.settings()
        self._limit = self._settings.limit(connection.max_payload)
        self._messages = Messages(subjects, self._stem, self._limit)
        self._writer = secrets.token_hex(8)
        self._count = 0
        self.traits = self._traits()
        self._end: End | None = None
        """Where the copy ends, as far as is known here."""
        self._last: int | None = None
        """The sequence of the last message with a position; None when it is not known."""
        self._last_id = ""
        """The id of the last message, where messages are sent one by one."""
        self._sent_at = 0.0
        """When the last position was about to be sent, by the monotonic clock."""

    def _traits(self) -> Traits:
        return Traits(fences=True, atomic=self._settings.is_atomic, exactly_once=True)

    def check(self) -> Sequence[str]:
        settings = self._stream.settings()
        settings.check(self._prefix, self._position_subject)
        return settings.warnings(self._limit)

    def end(self) -> End | None:
        last_sequence = self._stream.settings().last_sequence
        return self._copy.end(self._stream.last_of(self._position_subject), last_sequence)

    def resume(self) -> Position | None:
        """Writes the position once more: from then on the server refuses what another relay sends, or has sent."""
        for _ in range(_ATTEMPTS):
            self._settings = self._stream.settings()
            self.traits = self._traits()
            last = self._stream.last_of(self._position_subject)
            end = self._copy.end(last, self._settings.last_sequence)
            try:
                self._claim(last.sequence if last else 0, end)
            except Refused as error:
                if error.code not in WRONG_SEQUENCE:
                    raise
                continue
            return end.position if end is not None else None
        raise EngineError(
            f"the stream {self._stream.name} gets messages from others all the time, so the position of {self._stem} "
            "cannot be written; see whether another relay ships it"
        )

    def _claim(self, expected: int, end: End | None) -> None:
        headers = {EXPECTED_POSITION: str(expected)}
        if not self._settings.is_atomic:
            self._last_id = self._next_id()
            headers |= {MESSAGE_ID: self._last_id, EXPECTED_SEQUENCE: str(self._settings.last_sequence)}
        self._end = end
        body = (end or End(self._copy.nothing)).encode()
        self._sent_at = time.monotonic()
        self._last = self._stream.put(Written(b"", self._position_subject, body, headers)).sequence

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._writer}-{self._count}"

    def send(self, block: Block) -> None:
        expected, self._last = self._last, None
        if expected is None:
            raise EngineError("nats: a block can be sent only after resume()")
        now = time.monotonic()
        try:
            self._last = self._put(block, expected)
        except Refused as error:
            if error.code not in (*WRONG_SEQUENCE, WRONG_ID):
                raise
            if not self._is_aged(expected):
                raise self._refusal(error, expected) from None
            self._last = self._put(block, 0)
        self._sent_at, self._end = now, end_of(block)

    def _put(self, block: Block, expected: int) -> int:
        """Send a block, and return the sequence of its position."""
        message_id = self._next_id()
        if self._settings.is_atomic:
            done = self._stream.put(self._messages.batch(block, expected, message_id))
            return done.sequence - done.messages + 1
        written = self._messages.chain(block, self._begin_of(block), expected, self._last_id, message_id)
        done = self._stream.put(written)
        self._last_id = written.headers[MESSAGE_ID]
        return done.sequence - len(block.lines)

    def _begin_of(self, block: Block) -> End:
        """Return where the copy ends when a block begins there; it may also begin later."""
        end = self._end
        return end if end is not None and end.position == block.start else End(block.start)

    def _is_aged(self, expected: int) -> bool:
        """Return whether the last position is gone because nothing was sent for longer than the stream keeps messages.
        """
        age = self._settings.max_age_seconds
        if not age or time.monotonic() - self._sent_at < age:
            return False
        is_gone = self._stream.last_of(self._position_subject) is None
        return is_gone and self._stream.settings().last_sequence >= expected

    def _refusal(self, error: Refused, expected: int) -> EngineError:
        """Return what it means that the last position, or the last message, is not the one of this relay."""
        name, last = self._stream.name, self._stream.last_of(self._position_subject)
        if last is None:
            return EngineMismatch(
                f"the stream {name} has no position of {self._stem} any more: it was purged or made anew, or its "
                "limits have removed it; choose where to go on with `ssmd ship --resume-at <day>/<offset>`"
            )
        if last.headers.get(MESSAGE_ID, "").startswith(f"{self._writer}-"):
            return EngineError(
                f"the stream {name} has refused a message, or it has messages of others: {error}; without "
                "`allow_atomic` no other feed or shard can use it"
            )
        if last.sequence > expected:
            return EngineFenced(f"another relay ships {self._stem} to the stream {name}; stop one of them")
        return EngineError(f"the stream {name} has lost messages at its end: {error}")

    def names(self, block: Block) -> Sequence[str]:
        return [f"subject {subject}" for subject in self._subjects.of(block.exchange, block.found)]

    def copies(self, first_day: str | None = None) -> Iterator[Copied]:
        return self._copy.messages(first_day)

    def close(self) -> None:
        self._connection.close()
