"""Why a connection did not come about: the answer to the handshake, read with care and put into words."""

from __future__ import annotations

import contextlib
import email.utils
import http
import socket
import ssl
from collections.abc import Iterable

import websocket
from websocket._handshake import SUPPORTED_REDIRECT_STATUSES, handshake_response

from ssmd.errors import AuthError, ConnectError, printable

__all__ = ["explain", "printable_without", "refusal"]

CLOCK_SKEW_WORTH_TELLING_SECONDS = 5


def printable_without(hidden: Iterable[str], text: str | bytes) -> str:
    """What a server said, for a log: without the secrets, and before it is cut, lest a part of one stays.

    Servers repeat what they were sent: "there is no key 0123...", or the whole request.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for secret in hidden:
        text = text.replace(secret, "(hidden)")
    return printable(text)


def refusal(
    host: str, refused: websocket.WebSocketBadStatusException, now: float, hidden: Iterable[str] = ()
) -> ConnectError:
    """The error for an HTTP status in place of an upgrade; AuthError when it is about the keys.

    `now` is the wall clock in Unix seconds, to compare with the exchange's; `hidden` is not to be told.
    """
    status = refused.status_code
    if status is None:
        return ConnectError(f"cannot connect to {host}: it did not answer in HTTP")
    body = printable_without(hidden, refused.resp_body or b"")
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


def explain(error: Exception, response: handshake_response | None = None, hidden: Iterable[str] = ()) -> str:
    """What an exception means, on one line; `response` is the handshake's, if there was one."""
    if response is not None and response.status in SUPPORTED_REDIRECT_STATUSES:
        target = printable_without(hidden, str(response.headers.get("location", "")).partition("?")[0])
        return f"it redirects to {target} ({response.status}), which is never followed; name the final address"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, websocket.WebSocketAddressException | socket.gaierror):
        return f"its host name cannot be resolved: {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable_without(hidden, str(error)) or type(error).__name__
