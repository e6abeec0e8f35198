"""Messages that the exchange has compressed one by one: they are inflated here, within a bound."""

from __future__ import annotations

import logging
import sys
import zlib
from collections import deque
from collections.abc import Iterator

from ssmd.connector.frames import FrameReader
from ssmd.connector.strict import MessageTooBig
from ssmd.contracts.writer import Reads
from ssmd.runtime.threads import LARGE_BYTES, off_the_hub
from ssmd.store.looks_like import looks_like

__all__ = ["DEFLATE", "GZIP", "InflatingReader", "inflated"]

GZIP, DEFLATE = "gzip", "deflate"

SMALL_BYTES = 64 * 1024
"""A longer compressed message is inflated in a thread from its beginning; a shorter one only when it becomes large."""

_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS

_PIECE = 64 * 1024
"""How many compressed bytes zlib gets at a time: it copies those that it does not consume."""

_log = logging.getLogger("ssmd.connector")


class InflatingReader:
    """Returns the messages of a reader, with those of binary frames inflated.

    A message that does not inflate as a whole is returned as it came, and counted: no byte of it is lost.

    `method`: GZIP or DEFLATE. `max_bytes`: the most that a message may have when it is inflated.
    """

    def __init__(self, reader: FrameReader, method: str, max_bytes: int) -> None:
        self._reader = reader
        self._max_bytes = max_bytes
        self._compressed: deque[tuple[int, bytes]] = deque()
        """Messages that are not inflated yet, each with the time of its read."""
        self.received: Reads = ()
        """The reads that have completed the messages which recv_batch() returned last, see contracts/writer.py."""
        self._too_big: MessageTooBig | None = None
        self.method = method
        self.not_inflated = 0

    @property
    def held_ns(self) -> int | None:
        """See FrameReader."""
        return self._compressed[0][0] if self._compressed else self._reader.held_ns

    def recv_batch(self) -> list[bytes]:
        """Return what FrameReader.recv_batch() returns, inflated, and raise what it raises.

        Also raises MessageTooBig, after the messages before that one.
        """
        if self._too_big is not None:
            raise self._too_big
        if not self._compressed:
            payloads = self._reader.recv_batch()
            self.received = self._reader.received
            if not payloads or not self._reader.binary:  # Without any it was a control frame or a fragment.
                return payloads
            times = [received_ns for received_ns, count in self.received for _ in range(count)]
            self._compressed.extend(zip(times, payloads, strict=True))
        found: list[bytes] = []
        counts: dict[int, int] = {}
        size = 0
        # Not all at once: together, they may become a thousand times as large.
        while self._compressed and size < LARGE_BYTES:
            received_ns, payload = self._compressed[0]
            try:
                found.append(self._inflated(payload))
                self._compressed.popleft()  # Not earlier: until then it is held.
                counts[received_ns] = counts.get(received_ns, 0) + 1
            except MessageTooBig as error:
                self._too_big = error
                self._compressed.clear()
                if not found:
                    raise
                break
            size += len(found[-1])
        self.received = list(counts.items())
        return found

    def _inflated(self, payload: bytes) -> bytes:
        try:
            return inflated(payload, self.method, self._max_bytes)
        except zlib.error:
            self.not_inflated += 1
            if self.not_inflated == 1:
                _log.warning(
                    "messages that cannot be decompressed are kept as they came; from now on they are only counted",
                    extra={"decompress": self.method, "looks_like": looks_like(payload)},
                )
            return payload


def inflated(payload: bytes, method: str, most: int) -> bytes:
    """Return a message as it was before it was compressed; large ones are inflated in a thread.

    Raises zlib.error when it is anything but that, whole; MessageTooBig when it has more than `most` bytes.
    """
    for bits in _forms(payload, method):
        stream = _Stream(payload, bits, most)
        try:
            if len(payload) > SMALL_BYTES or not stream.advance(LARGE_BYTES):
                return _in_a_thread(stream)
            return stream.whole()
        except zlib.error:
            continue
    raise zlib.error(f"not compressed with {method}")


def _forms(payload: bytes, method: str) -> Iterator[int]:
    """Yield the formats that the message may have, as window bits of zlib."""
    if method == GZIP:
        yield _GZIP_BITS
    elif method == DEFLATE:
        # Servers disagree about what deflate means. A raw stream may begin like a header of zlib by chance.
        if len(payload) >= 2 and payload[0] & 0x0F == zlib.DEFLATED and int.from_bytes(payload[:2], "big") % 31 == 0:
            yield _ZLIB_BITS
        yield _RAW_BITS


class _Stream:
    """One compressed message, which is inflated piece by piece."""

    def __init__(self, payload: bytes, bits: int, most: int) -> None:
        self._payload = memoryview(payload)
        self._bits = bits
        self._most = most
        self._at = 0
        self._size = 0
        self._pieces: list[bytes] = []
        self._zlib = zlib.decompressobj(bits)

    def advance(self, size: int) -> bool:
        """Inflate about so many bytes more; return whether the end is reached.

        Raises zlib.error, and MessageTooBig, when no more than the bound is in memory.
        """
        stop = self._size + size
        while self._size < stop:
            room = min(LARGE_BYTES, self._most + 1 - self._size)
            data = self._payload[self._at : self._at + _PIECE]
            piece = self._zlib.decompress(data, room)
            self._at += len(data) - len(self._zlib.unconsumed_tail) - len(self._zlib.unused_data)
            if piece:
                self._pieces.append(piece)
                self._size += len(piece)
            if self._size > self._most:
                raise MessageTooBig(f"a message that inflates to more than {self._most:,} bytes")
            ended = self._at == len(self._payload)
            if self._zlib.eof:
                if ended:
                    return True
                if self._bits != _GZIP_BITS:
                    raise zlib.error("something follows")
                self._zlib = zlib.decompressobj(self._bits)  # A file of gzip may have several members.
            elif ended and len(piece) < room:
                raise zlib.error("cut off")
        return False

    def whole(self) -> bytes:
        return b"".join(self._pieces)

    def rest(self) -> bytes | zlib.error | MessageTooBig:
        """Inflate the rest; return the whole message or, as a value, what went wrong."""
        try:
            while not self.advance(sys.maxsize):
                pass
            return self.whole()
        except (zlib.error, MessageTooBig) as error:
            return error


def _in_a_thread(stream: _Stream) -> bytes:
    found = off_the_hub(stream.rest)
    if isinstance(found, bytes):
        return found
    raise found
