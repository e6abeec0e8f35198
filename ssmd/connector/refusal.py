"""Why a connection did not come about: the answer to the handshake, read with care and put into words."""

from __future__ import annotations

import contextlib
import email.utils
import http
import socket
import ssl
from typing import Any

import websocket
from websocket._handshake import SUCCESS_STATUSES, SUPPORTED_REDIRECT_STATUSES, handshake_response

from ssmd.errors import AuthError, ConnectError, printable

__all__ = ["BoundedHead", "explain", "refusal"]

CLOCK_SKEW_WORTH_TELLING_SECONDS = 5


class BoundedHead:
    """A socket that refuses to read more than so many bytes, lent to the library for the handshake."""

    def __init__(self, sock: Any, limit: int) -> None:
        self._sock = sock
        self._limit = limit
        self._read = bytearray()

    def recv(self, bufsize: int) -> bytes:
        left = self._limit - len(self._read)
        if left <= 0:
            raise websocket.WebSocketException("the response to the handshake does not end")
        data: bytes = self._sock.recv(min(bufsize, left))
        self._read += data
        return data

    def refused(self) -> websocket.WebSocketBadStatusException | None:
        """The answer, when it is a refusal whose head is whole: a body may be cut off, endless or too long."""
        head, whole, body = bytes(self._read).partition(b"\r\n\r\n")
        if not whole:
            return None
        status_line, *lines = head.decode("utf-8", "replace").split("\r\n")
        try:
            status = int(status_line.split(" ", 2)[1])
        except (IndexError, ValueError):
            return None
        if status in SUCCESS_STATUSES:
            return None
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return websocket.WebSocketBadStatusException("refused", status, None, headers, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def refusal(host: str, refused: websocket.WebSocketBadStatusException, now: float) -> ConnectError:
    """The error for an HTTP status in place of an upgrade; AuthError when it is about the keys.

    `now` is the wall clock in Unix seconds, to compare with the exchange's.
    """
    status = refused.status_code
    if status is None:
        return ConnectError(f"cannot connect to {host}: it did not answer in HTTP")
    body = printable(refused.resp_body or b"")
    answer = f"{printable(str(status), 20)} {_phrase(status)}" + (f": {body}" if body else "")
    if status not in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return ConnectError(f"cannot connect to {host}: it answered {answer}")
    remedy = "check that the key id and the private key belong together, and to this exchange"
    skew = _clock_skew(refused.resp_headers or {}, now)
    if abs(skew) > CLOCK_SKEW_WORTH_TELLING_SECONDS:
        direction = "ahead of" if skew > 0 else "behind"
        remedy = f"this host's clock is {abs(skew):.0f} s {direction} the exchange's; {remedy}"
    return AuthError(f"{host} refused the keys: {answer}; {remedy}")


def _clock_skew(headers: dict[str, str], now: float) -> float:
    """How far our clock is ahead, in seconds; 0 when the response does not tell."""
    with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError):
        return now - email.utils.parsedate_to_datetime(headers["date"]).timestamp()
    return 0.0


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return http.HTTPStatus(status).phrase
    return "(unknown status)"


def explain(error: Exception, response: handshake_response | None = None) -> str:
    """What an exception means, on one line; `response` is the handshake's, if there was one."""
    if response is not None and response.status in SUPPORTED_REDIRECT_STATUSES:
        target = printable(str(response.headers.get("location", "")).partition("?")[0])
        return f"it redirects to {target} ({response.status}), which is never followed; name the final address"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, websocket.WebSocketAddressException | socket.gaierror):
        return f"its host name cannot be resolved: {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error)) or type(error).__name__
