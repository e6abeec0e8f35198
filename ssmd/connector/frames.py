"""The frame reader: websocket-client, with a batch reader in front of its parser.

The library does the handshake and parses and checks frames. But it makes some twenty Python calls for each frame. So
here socket reads fill one buffer, and a tight loop cuts every plain text frame out of it. Whatever is not a
complete, unmasked, unfragmented text frame goes to the library's parser, whose reads (`_recv`) are served from the same
buffer. On a connection whose messages are in binary frames, these change places with text frames.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

import websocket

from ssmd.connector.closing import CloseFrame, answering_code
from ssmd.connector.reads import BUFFER_BYTES, ReadBuffer
from ssmd.connector.sender import FrameSender
from ssmd.connector.strict import LONGEST_IN_ONE_BYTE, StrictFrameBuffer
from ssmd.contracts.writer import Reads

__all__ = ["FrameReader"]

LONGEST_IN_TWO_BYTES = 0xFFFF
"""The longest payload whose length is in the two bytes after the first two of the header."""

_FIN_TEXT, _FIN_BINARY = 0x8100, 0x8200
_LENGTH_IN_TWO_BYTES = 126
_two_shorts = struct.Struct(">HH").unpack_from


class FrameReader(FrameSender):
    """A client connection that returns many messages at a time, those of one socket read or of several.

    Call connect() as in the library, then begin(), then recv_batch() until it raises. Not for threads.
    `max_message_bytes`: a longer message raises MessageTooBig. `coalesce_seconds`: see coalescing.py.
    """

    def __init__(self, max_message_bytes: int, coalesce_seconds: float = 0.0) -> None:
        # The writer checks UTF-8, for a whole batch at once: the library's check is a Python loop.
        super().__init__(skip_utf8_validation=True)
        self.frame_buffer = StrictFrameBuffer(self._recv, self.cont_frame, max_message_bytes)
        self._max_message_bytes = max_message_bytes
        self._cut(_FIN_TEXT)
        self._reads = ReadBuffer(coalesce_seconds)
        self._begun = False
        self._parsing = False
        self._waiting_since = 0.0
        self.silence_seconds = 0.0
        """How long recv_batch() waits for a whole frame; may be changed between two calls."""
        self.received: Reads = ()
        """The reads that have completed the messages which recv_batch() returned last, see contracts/writer.py."""
        self.binary = False
        """Whether the messages that recv_batch() returned last were in binary frames."""

    def begin(
        self, silence_seconds: float, *, binary: bool = False, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """Read through the buffer from now on. `silence_seconds`: the first value of the attribute. `binary`: most
        messages are in binary frames, so that it is these that the fast loop cuts. `clock`: returns the time of a read,
        ns since the epoch.

        The handshake reads byte by byte and never too far, so nothing is lost in between.
        """
        self._begun = True
        self._reads.clock = clock
        self.silence_seconds = silence_seconds
        if binary:
            self._cut(_FIN_BINARY)

    def _cut(self, head: int) -> None:
        """Choose the frames that are cut here, by the first two bytes of an empty one.

        Where max_message_bytes is less than a header of this kind can announce, the frame is left to the library, which
        checks its length.
        """
        most = self._max_message_bytes
        self._head = head
        self._longest_head = head + min(most, LONGEST_IN_ONE_BYTE)
        self._long_head = head | _LENGTH_IN_TWO_BYTES if most >= LONGEST_IN_TWO_BYTES else None

    def recv_batch(self) -> list[bytes]:
        """Block until a whole frame has arrived; return the messages, [] for a control frame or a fragment.

        Raises TimeoutError after `silence_seconds` without a whole frame; the next call then continues where this one
        stopped. Raises CloseFrame, MessageTooBig, the library's exceptions and OSError.
        """
        # Silence is counted from here, not from the last frame: the time in which the caller was busy, for example with
        # a slow disk, is not the exchange's.
        self._waiting_since = time.monotonic()
        reads = self._reads
        while not self._parsing:
            if reads.stamps:
                if payloads := self._cut_frames():
                    self.binary = self._head == _FIN_BINARY
                    return payloads
                if not self._needs_more():
                    break
                reads.stamps.clear()  # What is left is the beginning of a frame that a later read completes.
            reads.gather(self.sock, self._waiting_since + self.silence_seconds)
        return self._take(self._parse())

    @property
    def mid_frame(self) -> bool:
        """Whether a part of a frame has arrived, and its end has not."""
        return self._parsing or self._reads.start != self._reads.end

    @property
    def held_ns(self) -> int | None:
        """The time of the first read of which recv_batch() may have more to return, ns since the epoch; None when there
        is none.
        """
        reads = self._reads
        return next((received_ns for end, received_ns in reads.stamps if end > reads.start), None)

    @property
    def read_at(self) -> float:
        """When the last read of the socket was, seconds of the monotonic clock; 0 before the first."""
        return self._reads.read_at

    def hurry(self) -> None:
        """Return from recv_batch() with the next read at once."""
        self._reads.hurry()

    def let_others_run(self, now: float) -> float:
        """Give other greenlets their turn if that is due; return the time after that. `now`: of the monotonic clock."""
        return self._reads.let_others_run(now)

    def _parse(self) -> Any:
        """Return the next frame by the library's parser.

        When it raises TimeoutError the parser has kept the beginning of the frame, and must get the rest of it.
        """
        self._parsing = True
        frame = self.recv_frame()
        self._parsing = False
        reads = self._reads
        while reads.stamps[0][0] < reads.start:
            reads.stamps.popleft()
        self.received = [(reads.stamps[0][1], 1)]
        return frame

    def _take(self, frame: Any) -> list[bytes]:
        """Do what the library's recv_data_frame() does with a frame, but return after each.

        That one would continue as long as fragments arrive, and no other greenlet could run.
        """
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            self.send_close(answering_code(frame.data[2:]))
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
        opcode, _ = self.cont_frame.extract(frame)
        self.binary = opcode == websocket.ABNF.OPCODE_BINARY
        return [bytes(frame.data)]

    def _cut_frames(self) -> list[bytes]:
        """Return the payloads of all plain frames at the front of the buffer that are complete, and set `received`."""
        payloads: list[bytes] = []
        if self.cont_frame.recving_frames:
            return payloads  # Inside a fragmented message such a frame is an error, which the library raises.
        reads, begin, start = self._reads, self._reads.start, 0
        # Slicing bytes is cheaper than slicing a bytearray or a view, so the buffer is copied once.
        data = bytes(reads.view[begin : reads.end])
        received: list[tuple[int, int]] = []
        count = 0
        for end, received_ns in reads.stamps:
            start = self._cut_read(data, start, end - begin, payloads)
            if len(payloads) > count:
                received.append((received_ns, len(payloads) - count))
                count = len(payloads)
        reads.start += start
        if reads.start == reads.end:
            reads.stamps.clear()
        self.received = received
        return payloads

    def _cut_read(self, data: bytes, start: int, end: int, payloads: list[bytes]) -> int:
        """Add the payloads of the plain frames between two places; return where the last one ends. The hot loop."""
        first_head, longest_head, long_head = self._head, self._longest_head, self._long_head
        append = payloads.append
        # One unpack reads the first two bytes and the two after them, which may be the length. It fails when fewer than
        # four bytes are left, which is cheaper than a check each time; those are left to the library.
        try:
            while True:
                head, long_length = _two_shorts(data, start)
                if head == long_head:
                    body = start + 4
                    stop = body + long_length
                elif first_head <= head <= longest_head:
                    body = start + 2
                    stop = body + (head & 0x7F)
                else:
                    break
                if stop > end:
                    break
                append(data[body:stop])
                start = stop
        except struct.error:
            pass
        return start

    def _needs_more(self) -> bool:
        """Return whether the buffer holds only the beginning of a plain frame, which will fit into it, or nothing."""
        buffer, start = self._reads.buffer, self._reads.start
        available = self._reads.end - start
        if not available:
            return True
        if self.cont_frame.recving_frames or buffer[start] != self._head >> 8:
            return False
        if available < 2:
            return True
        length = buffer[start + 1]
        if length <= LONGEST_IN_ONE_BYTE:
            return available < 2 + length and length <= self._max_message_bytes
        if length == 126:
            if available < 4:
                return True
            length = int(_two_shorts(buffer, start)[1])
            return available < 4 + length <= BUFFER_BYTES and length <= self._max_message_bytes
        return False

    def _recv(self, bufsize: int) -> bytes:
        """Return up to `bufsize` bytes, of the rest of the buffer first.

        The library's handshake and its parser read by this method, which is private; setup.py names the versions of the
        library that were tried.
        """
        if not self._begun:
            return bytes(super()._recv(bufsize))
        reads = self._reads
        if reads.start == reads.end:
            reads.read(self.sock, self._waiting_since + self.silence_seconds)
        begin = reads.start
        reads.start = min(reads.end, begin + bufsize)
        return bytes(reads.view[begin : reads.start])
