"""What a client connection sends: whole frames only, and nothing after one that was not sent whole."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import websocket

__all__ = ["FrameSender"]

ANSWER_SECONDS = 1.0
"""How long a control frame may take to be sent. Nothing is read in this time."""

_log = logging.getLogger("ssmd.connector")


class FrameSender(websocket.WebSocket):  # type: ignore[misc]
    """The library's connection, which stops sending when a frame was not sent whole.

    The server would read a later frame as the rest of the one that was cut off. The same holds while another greenlet
    is sending.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(enable_multithread=False, **options)
        self._may_send = True
        self.stalled = False
        """The server did not read a frame in time; no other can be sent."""

    def send_frame(self, frame: Any) -> int:
        """Send a frame, return its bytes. Everything that the library sends after the handshake passes through here.

        Raises the library's exceptions and OSError.
        """
        if not self._may_send:
            raise websocket.WebSocketException("the frame before was not sent whole")
        self._may_send = False
        size: int = super().send_frame(frame)
        self._may_send = True
        return size

    def send_texts(self, payloads: Sequence[bytes], seconds: float) -> None:
        """Send each as a text message, in order.

        Raises TimeoutError when the server does not take all of them within so many seconds, or has not taken an
        earlier frame in time. On a broken connection it does nothing: the next read reports that, after what has
        arrived.
        """
        if not self.stalled:
            with gevent.Timeout(seconds, False):
                self._send_texts(payloads)
                return
        self.stalled = True
        raise TimeoutError

    def _send_texts(self, payloads: Sequence[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError, websocket.WebSocketException):
            self.settimeout(None)
            for payload in payloads:
                self.send(payload)

    # Answers to a ping or a close are a courtesy. A server that has closed the connection already, or does not read,
    # must not cost us what it sent before: that is still in the buffers, and the next read reports the end.

    def pong(self, payload: str | bytes = b"") -> None:
        self._control("pong", ANSWER_SECONDS, super().pong, payload)

    def send_close(self, status: int = websocket.STATUS_NORMAL, reason: str | bytes = b"") -> None:
        self._control("close", ANSWER_SECONDS, super().send_close, status, reason)

    def send_ping(self, seconds: float) -> bool:
        """Send a ping within `seconds`; return whether it is sent. Any server answers a ping (RFC 6455, 5.5.2)."""
        return self._control("ping", min(seconds, ANSWER_SECONDS), super().ping)

    def _control(self, name: str, seconds: float, send: Callable[..., None], *arguments: Any) -> bool:
        """Send a control frame if that is possible, and return whether it is sent; never raises."""
        if not self._may_send:
            return False
        self.settimeout(seconds)
        try:
            send(*arguments)
        except websocket.WebSocketTimeoutException:
            self.stalled = True
            _log.warning(
                "exchange does not read our answers; no more are sent, and it may hang up",
                extra={"answer": name, "seconds": seconds},
            )
        except (OSError, ValueError, websocket.WebSocketException):
            pass  # The connection is broken; the next read reports that.
        return self._may_send
