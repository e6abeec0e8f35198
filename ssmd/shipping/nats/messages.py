"""What the sink writes to a stream: messages as the bytes of NATS's protocol.

The messages of a batch are put together here: nats-py takes ten times as long for each. Only the last message of a
batch, with which the server commits it, goes through the library.
Source: https://docs.nats.io/reference/reference-protocols/nats-protocol (HPUB); for the headers of batches
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ssmd.contracts.sink import Block, End
from ssmd.errors import EngineMismatch
from ssmd.reading.ends import end_of
from ssmd.shipping.subjects import Subjects
from ssmd.store.head import TS

__all__ = [
    "EXPECTED_POSITION",
    "EXPECTED_SEQUENCE",
    "LENGTHS",
    "LINE",
    "MESSAGE_ID",
    "TIME",
    "Limit",
    "Messages",
    "Written",
    "place_of",
]

TIME, LINE, SESSION = "Ssmd-Ts", "Ssmd-Line", "Ssmd-Session"
LENGTHS = "Ssmd-Lengths"
"""Of a position: how many bytes each line of its batch has, with commas. A power failure may leave a part of a batch,
its beginning; so it can be computed where that part ends."""
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Sequence"
EXPECTED_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_POSITION = "Nats-Expected-Last-Subject-Sequence"
_BATCH, _NUMBER, _COMMIT = "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"

_VERSION = "NATS/1.0\r\n"
_NOT_VISIBLE = re.compile(r"[^\x21-\x7e]")


class Limit(NamedTuple):
    """The largest message that is taken, with its headers."""

    bytes: int
    setting: str
    """Where it is set, for people."""


class Written(NamedTuple):
    """A block as it is sent."""

    first: bytes
    """All messages but the last, as the bytes of the protocol."""
    subject: str
    """That of the last message, as the other fields."""
    payload: bytes
    headers: Mapping[str, str]


class _Message(NamedTuple):
    line: int
    subject: str
    headers: str
    """Without those of the batch; each ends in a line break."""
    payload: bytes


class Messages:
    """Makes the messages of one feed or shard, whose files are named by `stem`."""

    def __init__(self, subjects: Subjects, stem: str, limit: Limit) -> None:
        self._subjects = subjects
        self._stem = stem
        self._limit = limit

    def batch(self, block: Block, expected: int, batch_id: str) -> Written:
        """Return a block as an atomic batch.

        The position comes first, on its own subject, and only if the last message there is the one with the sequence
        `expected`, 0 for none. So the server refuses the batch of a relay that has missed what another one has sent,
        and a batch that it has already. Raises EngineMismatch for a message that is too large.
        """
        same = f"{_VERSION}{_BATCH}: {batch_id}\r\n{_NUMBER}: "
        parts: list[bytes] = []
        lengths = ",".join(map(str, map(len, block.lines)))
        position = f"{same}1\r\n{EXPECTED_POSITION}: {expected}\r\n{LENGTHS}: {lengths}\r\n\r\n"
        _append(parts, self._subjects.position(block.end), position, end_of(block).encode())
        last = len(block.lines) + 1
        for number, message in enumerate(self._of(block), 2):
            commit = f"{_COMMIT}: 1\r\n" if number == last else ""
            headers = f"{same}{number}\r\n{commit}{message.headers}\r\n"
            self._check_size(message, len(headers), block)
            if not commit:
                _append(parts, message.subject, headers, message.payload)
        return Written(b"".join(parts), message.subject, message.payload, _as_mapping(headers))

    def chain(self, block: Block, begin: End, expected: int, after: str, begin_id: str) -> Written:
        """Return a block as single messages behind `begin`, the position at which it begins.

        Each is taken only if the last message of the stream is the one before it, by its id; the first comes after the
        one with the id `after`, and has the same condition as that of a batch. So nothing comes behind a message that
        was not taken. The id of a message says the position behind it, and has `begin_id`, which is new each time: the
        server takes no id twice within some minutes, not even when the first one was purged. Raises as batch().
        """
        parts: list[bytes] = []
        ids = f"{MESSAGE_ID}: {begin_id}\r\n{EXPECTED_ID}: {after}\r\n"
        position = f"{_VERSION}{ids}{EXPECTED_POSITION}: {expected}\r\n\r\n"
        _append(parts, self._subjects.position(block.start), position, begin.encode())
        before, offset = begin_id, block.start.offset
        for message, text in zip(self._of(block), block.lines, strict=True):
            offset += len(text)
            message_id = f"{self._stem}/{block.end.day}/{offset}/{message.line}/{begin_id}"
            headers = f"{_VERSION}{MESSAGE_ID}: {message_id}\r\n{EXPECTED_ID}: {before}\r\n{message.headers}\r\n"
            self._check_size(message, len(headers), block)
            if message.line < block.end.line:
                _append(parts, message.subject, headers, message.payload)
            before = message_id
        return Written(b"".join(parts), message.subject, message.payload, _as_mapping(headers))

    def _of(self, block: Block) -> Iterator[_Message]:
        where = f"{LINE}: {block.end.day}/{self._stem}/"
        session = _NOT_VISIBLE.sub("_", block.session)
        end = f"\r\n{SESSION}: {session}\r\n" if session else "\r\n"
        subjects = self._subjects.of(block.exchange, block.found)
        messages = zip(block.lines, block.payloads, subjects, strict=True)
        for number, (line, payload, subject) in enumerate(messages, block.start.line + 1):
            headers = f"{TIME}: {line[TS].decode('ascii')}\r\n{where}{number}{end}"
            yield _Message(number, subject, headers, payload)

    def _check_size(self, message: _Message, header_bytes: int, block: Block) -> None:
        size = header_bytes + len(message.payload)
        if size > self._limit.bytes:
            raise EngineMismatch(
                f"{block.end.day}/{self._stem}: the message of line {message.line} has {size} bytes with its headers, "
                f"and the server takes at most {self._limit.bytes}; raise {self._limit.setting}"
            )


def place_of(message_id: str, stem: str) -> tuple[str, int, int] | None:
    """Return day, offset and line at the end of a message of a chain, from its id; None for another message."""
    name, _, rest = message_id.partition("/")
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)/(\d+)/(\d+)/.+", rest, re.ASCII)
    return (found[1], int(found[2]), int(found[3])) if found and name == stem else None


def _append(parts: list[bytes], subject: str, headers: str, payload: bytes) -> None:
    size = len(headers)
    parts += (f"HPUB {subject} {size} {size + len(payload)}\r\n{headers}".encode("ascii"), payload, b"\r\n")


def _as_mapping(headers: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in headers.removeprefix(_VERSION).split("\r\n") if line)
