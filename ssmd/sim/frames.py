"""WebSocket frames as bytes (RFC 6455, section 5): a server's are made, a client's are read.

gevent-websocket does the handshake. Its frames are not used: its close() never sends the code, its pings change bytes,
and its reader has no limit of size and answers pings by writing from a second greenlet.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

__all__ = [
    "BINARY", "CLOSE", "CONTINUATION", "MAX_MESSAGE", "PING", "PONG", "TEXT",
    "Frame", "Ping", "Violation", "close_payload", "encode", "encode_all", "messages", "read_frame",
]  # fmt: skip

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

MAX_MESSAGE: Final = 1024 * 1024
"""The largest message, in bytes, that is accepted from a client; commands are far smaller."""


class Violation(Exception):
    """The client has broken the protocol; `code` is the close code that says how."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Ping(bytes):
    """The payload of a ping, among the payloads of messages that wait to be sent."""


class Frame(NamedTuple):
    """One frame of a client."""

    fin: bool
    """Whether it is the last one of its message."""
    opcode: int
    payload: bytes
    """Unmasked."""


def encode(opcode: int, payload: bytes) -> bytes:
    """Return one whole frame of a server, which is never masked."""
    return _head(opcode, len(payload)) + payload


def _head(opcode: int, size: int) -> bytes:
    if size < 126:
        return struct.pack(">BB", 0x80 | opcode, size)
    if size < 65_536:
        return struct.pack(">BBH", 0x80 | opcode, 126, size)
    return struct.pack(">BBQ", 0x80 | opcode, 127, size)


def encode_all(payloads: Sequence[bytes]) -> bytes:
    """Return a frame for each message: text, or binary for what is not UTF-8, because a client must refuse that as text
    (RFC 6455, 8.1). A Ping becomes a ping frame.
    """
    if set(map(type, payloads)) <= {bytes} and all(map(bytes.isascii, payloads)):
        # Nearly all messages. Their heads are made once for each size: that takes a fifth of the time.
        return b"".join(itertools.chain.from_iterable(zip(map(_text_head, map(len, payloads)), payloads, strict=True)))
    return b"".join(map(_encode_message, payloads))


def _encode_message(payload: bytes) -> bytes:
    if isinstance(payload, Ping):
        return encode(PING, payload)
    try:
        if not payload.isascii():
            str(payload, "utf-8")
    except UnicodeDecodeError:
        return encode(BINARY, payload)
    return encode(TEXT, payload)


@functools.lru_cache(4096)
def _text_head(size: int) -> bytes:
    return _head(TEXT, size)


def close_payload(code: int, reason: str) -> bytes:
    """Return the payload of a close frame: at most 125 bytes, as in every control frame."""
    return struct.pack(">H", code) + reason.encode()[:123]


def messages(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield what a client sends, as (opcode, payload): whole messages, and control frames, also between fragments.

    `read` is as for read_frame(). Raises Violation.
    """
    kind, message = CONTINUATION, bytearray()
    while True:
        fin, opcode, payload = read_frame(read)
        if opcode >= CLOSE:
            yield opcode, payload
            continue
        if (opcode == CONTINUATION) != (kind != CONTINUATION):
            raise Violation(1002, "a fragment out of order")
        kind = opcode or kind
        message += payload
        if len(message) > MAX_MESSAGE:
            raise Violation(1009, f"a message may have at most {MAX_MESSAGE} bytes")
        if fin:
            yield kind, bytes(message)
            kind, message = CONTINUATION, bytearray()


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """Return the next frame; `read` returns exactly as many bytes as it is asked for.

    Raises Violation for a frame that breaks the protocol, or is too long, before any of its payload is read.
    """
    first, second = read(2)
    fin, opcode, size = bool(first & 0x80), first & 0x0F, second & 0x7F
    if first & 0x70 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise Violation(1002, "a frame with reserved bits or an unknown opcode")
    if not second & 0x80:
        raise Violation(1002, "a client must mask its frames")
    if opcode >= CLOSE and (size > 125 or not fin):
        raise Violation(1002, "a control frame must be short and whole")
    if size == 126:
        (size,) = struct.unpack(">H", read(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", read(8))
    if size > MAX_MESSAGE:
        raise Violation(1009, f"a message may have at most {MAX_MESSAGE} bytes")
    mask = read(4)
    return Frame(fin, opcode, _unmask(read(size), mask))


def _unmask(payload: bytes, mask: bytes) -> bytes:
    # The exclusive-or of two large integers takes microseconds, a loop over the bytes takes seconds.
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
