"""The library's parser of frames, stricter: it checks a frame by its header, before it reads the rest."""

from __future__ import annotations

from collections.abc import Callable

import websocket
from websocket import continuous_frame, frame_buffer

__all__ = ["LONGEST_IN_ONE_BYTE", "MessageTooBig", "StrictFrameBuffer"]

LONGEST_IN_ONE_BYTE = 125
"""The longest payload whose length is in the header's second byte, and the longest of a control frame."""


class MessageTooBig(websocket.WebSocketPayloadException):  # type: ignore[misc]
    """A frame is longer than allowed, or the fragments of a message are together."""


class StrictFrameBuffer(frame_buffer):  # type: ignore[misc]
    """The library's frame parser, which checks a frame by its header before it allocates memory for the rest.

    As RFC 6455 demands, and the library does not: no masked frames from a server (5.1), no fragmented or long control
    frames (5.5). And a message may have no more than `max_message_bytes`, in one frame or in fragments. `fragments`:
    the library's state of the fragmented message that is being received.
    """

    def __init__(self, recv: Callable[[int], bytes], fragments: continuous_frame, max_message_bytes: int) -> None:
        super().__init__(recv, skip_utf8_validation=True)
        self._fragments = fragments
        self._max_message_bytes = max_message_bytes

    def recv_header(self) -> None:
        super().recv_header()
        fin, _, _, _, opcode, masked, length = self.header
        if masked:
            raise websocket.WebSocketProtocolException("a masked frame from the server")
        if opcode >= websocket.ABNF.OPCODE_CLOSE and (not fin or length > LONGEST_IN_ONE_BYTE):
            raise websocket.WebSocketProtocolException("a control frame that is fragmented or too long")

    def recv_length(self) -> None:
        super().recv_length()
        length = self.length
        if self.header[4] == websocket.ABNF.OPCODE_CONT and self._fragments.cont_data:
            length += len(self._fragments.cont_data[1])
        if length > self._max_message_bytes:
            raise MessageTooBig(f"a message of {length:,} bytes or more; at most {self._max_message_bytes:,} allowed")
