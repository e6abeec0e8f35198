"""Close frames: what the exchange says in them, and how they are answered."""

from __future__ import annotations

import websocket

from ssmd.store.json_limits import is_utf8

__all__ = ["CloseFrame", "answering_code"]


class CloseFrame(Exception):
    """The exchange has sent a close frame; `code` is None when it gave none (RFC 6455, 7.1.5)."""

    def __init__(self, code: int | None, reason: bytes) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def answering_code(reason: bytes) -> int:
    """Return the close code that answers a close frame: a reason that is not UTF-8 is an error (RFC 6455, 8.1)."""
    code: int = websocket.STATUS_NORMAL if is_utf8(reason) else websocket.STATUS_INVALID_PAYLOAD
    return code
