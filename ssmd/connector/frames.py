"""The frame reader: websocket-client, with a batch reader in front of its parser.

The library keeps the handshake, TLS, proxies, the parsing of frames and its checks. But it makes some
twenty Python calls for each frame, so one socket read fills one buffer here, and a tight loop cuts every
plain text frame out of it. Whatever is not a complete, unmasked, unfragmented text frame goes to the
library's parser, whose reads (`_recv`) are served from the same buffer.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import time
from collections.abc import Callable
from typing import Any

import gevent
import websocket
from gevent.exceptions import ConcurrentObjectUseError

from ssmd.connector.coalescing import Naps
from ssmd.connector.strict import LONGEST_IN_ONE_BYTE, MessageTooBig, StrictFrameBuffer

__all__ = ["CloseFrame", "FrameReader", "MessageTooBig"]

BUFFER_BYTES = 64 * 1024
"""One socket read at most. Larger buffers were measured to be slower: they fall out of the CPU's cache."""

ANSWER_SECONDS = 1.0
"""How long an answer to a ping or a close may wait to be sent. Nothing is read in this time."""

LONGEST_IN_TWO_BYTES = 0xFFFF

_FIN_TEXT = 0x8100
_LENGTH_IN_TWO_BYTES = _FIN_TEXT | 126
_two_shorts = struct.Struct(">HH").unpack_from

_log = logging.getLogger("ssmd.connector")


class CloseFrame(Exception):
    """The exchange has sent a close frame; `code` is None when it gave none (RFC 6455, 7.1.5)."""

    def __init__(self, code: int | None, reason: bytes) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class FrameReader(websocket.WebSocket):  # type: ignore[misc]
    """A client connection that hands out the messages of one socket read at a time.

    connect() as in the library, then begin(), then recv_batch() until it raises. Not for threads.
    While frames come faster than `coalesce_seconds` they are read together, about once in that time (see naps.py).
    """

    def __init__(self, max_message_bytes: int, coalesce_seconds: float = 0.0) -> None:
        # UTF-8 is checked later, for a whole batch at once: the library's check is a Python loop.
        super().__init__(skip_utf8_validation=True, enable_multithread=False)
        self.frame_buffer = StrictFrameBuffer(self._recv, self.cont_frame, max_message_bytes)
        self._max_message_bytes = max_message_bytes
        # The heads of the frames that are cut here. Where the limit is below what a head of this kind can announce,
        # the library has to look at each of them.
        self._longest_head = _FIN_TEXT + min(max_message_bytes, LONGEST_IN_ONE_BYTE)
        self._long_head = _LENGTH_IN_TWO_BYTES if max_message_bytes >= LONGEST_IN_TWO_BYTES else None
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._begun = False
        self._may_answer = True
        self._waiting_since = 0.0
        self._naps = Naps(coalesce_seconds, BUFFER_BYTES)
        self.silence_seconds = 0.0
        """How long recv_batch() waits for a whole frame; may be changed between two calls."""

    def begin(self, silence_seconds: float) -> None:
        """Read through the buffer from now on; raise TimeoutError after so many seconds without a frame.

        The handshake reads byte by byte and never too far, so nothing is lost in between.
        """
        self._begun = True
        self.silence_seconds = silence_seconds

    def recv_batch(self) -> list[bytes]:
        """Block until something whole has arrived; [] stands for a control frame or a fragment.

        Raises CloseFrame, TimeoutError, MessageTooBig, the library's exceptions and OSError.
        """
        # Silence is counted from here, not from the last frame: the time in which the caller was busy, say
        # with a slow disk, is not the exchange's.
        self._waiting_since = time.monotonic()
        while True:
            payloads = self._cut_frames()
            if payloads:
                return payloads
            if not self._needs_more():
                return self._take(self.recv_frame())
            self._fill()

    def _take(self, frame: Any) -> list[bytes]:
        """What the library's recv_data_frame() does with a frame, but returning after each: it would keep at
        endless fragments, and let nobody else run.
        """
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            self.send_close()
            raise CloseFrame(int.from_bytes(frame.data[:2], "big") if frame.data else None, frame.data[2:])
        if frame.opcode == websocket.ABNF.OPCODE_PING:
            self.pong(frame.data)
        if frame.opcode >= websocket.ABNF.OPCODE_CLOSE:
            return []
        self.cont_frame.validate(frame)
        if not frame.fin and not self.cont_frame.cont_data:
            frame.data = bytearray(frame.data)  # The library adds to it; adding to bytes would copy them each time.
        self.cont_frame.add(frame)
        if not frame.fin:
            return []
        self.cont_frame.extract(frame)
        return [bytes(frame.data)]

    def _cut_frames(self) -> list[bytes]:
        """Every plain text frame that lies whole at the front of the buffer. The hot loop."""
        payloads: list[bytes] = []
        if self.cont_frame.recving_frames:
            return payloads  # Inside a fragmented message a text frame is an error: the library's to tell.
        # Slicing bytes is cheaper than slicing a bytearray or a view, so the buffer is copied once.
        data = bytes(self._view[self._start : self._end])
        start, end, long_head, longest_head = 0, len(data), self._long_head, self._longest_head
        append = payloads.append
        # One unpack reads the first two bytes and, in case they announce it, the length in the next two. It fails
        # when fewer than four are left, which is cheaper than asking each time; they are left to the library.
        with contextlib.suppress(struct.error):
            while True:
                head, long_length = _two_shorts(data, start)
                if head == long_head:
                    body = start + 4
                    stop = body + long_length
                elif _FIN_TEXT <= head <= longest_head:
                    body = start + 2
                    stop = body + (head & 0x7F)
                else:
                    break
                if stop > end:
                    break
                append(data[body:stop])
                start = stop
        self._start += start
        return payloads

    def _needs_more(self) -> bool:
        """The buffer is empty, or holds the beginning of a plain text frame that will fit into it."""
        start, available = self._start, self._end - self._start
        if available == 0:
            return True
        if self.cont_frame.recving_frames or self._buffer[start] != _FIN_TEXT >> 8:
            return False
        if available < 2:
            return True
        length = self._buffer[start + 1]
        if length <= LONGEST_IN_ONE_BYTE:
            return available < 2 + length and length <= self._max_message_bytes
        if length == 126:
            if available < 4:
                return True
            length = int(_two_shorts(self._buffer, start)[1])
            return available < 4 + length <= BUFFER_BYTES and length <= self._max_message_bytes
        return False

    def _fill(self) -> None:
        """Read once more behind what the buffer holds."""
        rest = self._end - self._start
        if self._start:
            self._view[:rest] = self._view[self._start : self._end]
            self._start, self._end = 0, rest
        if self._naps.due:
            gevent.sleep(self._naps.due)
        began = time.monotonic()
        self._end += self._read_into(self._view[rest:])
        now = time.monotonic()
        self._naps.learn(self._end - rest, now - began, now, self._end == BUFFER_BYTES)

    def _read_into(self, view: memoryview) -> int:
        """One read. Bytes that never complete a frame do not count as life."""
        try:
            count = self._read_within(self._waiting_since + self.silence_seconds - time.monotonic(), view)
        except TimeoutError as error:
            if error.errno is not None:
                raise  # It is the kernel that gave up.
            # A process that was itself stopped, or starved, finds the time over and the data there.
            count = self._read_within(0.0, view)
        if not count:
            raise websocket.WebSocketConnectionClosedException("the connection ended without a close frame")
        return count

    def _read_within(self, seconds: float, view: memoryview) -> int:
        self.sock.settimeout(max(0.0, seconds))
        try:
            count: int = self.sock.recv_into(view)
        except BlockingIOError:
            raise TimeoutError from None
        return count

    def _recv(self, bufsize: int) -> bytes:
        """The library's read: the rest of the buffer first."""
        if not self._begun:
            return bytes(super()._recv(bufsize))
        if self._start == self._end:
            self._start = self._end = 0
            self._end = self._read_into(self._view)
        taken = min(bufsize, self._end - self._start)
        data = bytes(self._view[self._start : self._start + taken])
        self._start += taken
        return data

    # Answers to a ping or a close are a courtesy. An exchange that has hung up already, or does not read, must not
    # cost us what it said before: that still lies in the buffers, and the next read will meet the end.

    def pong(self, payload: str | bytes = b"") -> None:
        self._answer("pong", super().pong, payload)

    def send_close(self, status: int = websocket.STATUS_NORMAL, reason: str | bytes = b"") -> None:
        self._answer("close", super().send_close, status, reason)

    def _answer(self, name: str, send: Callable[..., None], *arguments: Any) -> None:
        """Send a control frame, but nothing behind or into one that is not sent whole: it would be read as its rest."""
        if not self._may_answer:
            return
        self._may_answer = False
        self.settimeout(ANSWER_SECONDS)
        try:
            send(*arguments)
            self._may_answer = True
        except websocket.WebSocketTimeoutException:
            _log.warning(
                "exchange does not read our answers; no more are sent, and it may hang up",
                extra={"answer": name, "seconds": ANSWER_SECONDS},
            )
        except (OSError, ValueError, websocket.WebSocketException, ConcurrentObjectUseError):
            # The connection is broken, which the next read will tell; or another greenlet is still sending the opening
            # commands, where gevent refuses a second.
            pass
