"""WebSocket frames as bytes (RFC 6455, section 5): how a server writes them, and how it reads a client's.

gevent-websocket does the handshake; its frames are not used, because its close() never sends the code, its pings
garble bytes, its reader has no size limit and answers pings by writing from a second greenlet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

__all__ = [
    "BINARY", "CLOSE", "CONTINUATION", "MAX_MESSAGE", "PING", "PONG", "TEXT",
    "Frame", "Violation", "close_payload", "encode", "messages", "read_frame",
]  # fmt: skip

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

MAX_MESSAGE: Final = 1024 * 1024
"""The largest message taken from a client; commands are far smaller."""


class Violation(Exception):
    """The client has broken the protocol; the close code says how."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Frame(NamedTuple):
    fin: bool
    opcode: int
    payload: bytes


def encode(opcode: int, payload: bytes) -> bytes:
    """One whole frame; a server's frames are never masked."""
    size = len(payload)
    if size < 126:
        return struct.pack(">BB", 0x80 | opcode, size) + payload
    if size < 65_536:
        return struct.pack(">BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack(">BBQ", 0x80 | opcode, 127, size) + payload


def close_payload(code: int, reason: str) -> bytes:
    """A close frame's payload; at most 125 bytes, as in every control frame."""
    return struct.pack(">H", code) + reason.encode()[:123]


def messages(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    """What a client says, as (opcode, payload): whole messages, and the control frames between their fragments."""
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
    """One frame from `read`, which returns exactly as many bytes as it is asked for; Violation if it is a wrong one.

    The size is judged from the header, before any of the payload is read.
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
    # One exclusive-or of two large integers takes microseconds where a loop over the bytes takes seconds.
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
