"""Why a connection failed: the server's answer to the handshake, or an exception, as one line of text.

The server's words are not trusted: see printable_without().
"""

from __future__ import annotations

import contextlib
import email.utils
import http
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import websocket

from ssmd.errors import AuthError, ConnectError, printable

__all__ = ["REDIRECTS", "explain", "printable_without", "refusal"]

REDIRECTS = (
    http.HTTPStatus.MOVED_PERMANENTLY,
    http.HTTPStatus.FOUND,
    http.HTTPStatus.SEE_OTHER,
    http.HTTPStatus.TEMPORARY_REDIRECT,
    http.HTTPStatus.PERMANENT_REDIRECT,
)
"""The statuses that name another address. They are never followed: the signed headers would go there."""

LEAST_CLOCK_SKEW_SECONDS = 5
"""A clock that differs from the exchange's by less is not mentioned."""


def printable_without(hidden: Iterable[str], text: str | bytes) -> str:
    """Return what a server sent as text for one line of a log, without the secrets in `hidden`.

    Servers repeat what they were sent: "there is no key 0123...", or the whole request. The secrets are replaced before
    the text is cut, so that no part of one remains.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for secret in hidden:
        text = text.replace(secret, "(hidden)")
    return printable(text)


def refusal(
    host: str, refused: websocket.WebSocketBadStatusException, now: float, hidden: Iterable[str] = ()
) -> ConnectError:
    """Return the error for a server that answers with another HTTP status than 101; AuthError when it is about the
    keys.

    `now`: the wall clock in Unix seconds, to compare it with the exchange's. `hidden`: texts that the error must not
    show.
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
    if abs(skew) > LEAST_CLOCK_SKEW_SECONDS:
        direction = "ahead of" if skew > 0 else "behind"
        remedy = f"this host's clock is {abs(skew):.0f} s {direction} the exchange's; {remedy}"
    return AuthError(f"{host} refused the keys: {answer}; {remedy}")


def _clock_skew(headers: dict[str, str], now: float) -> float:
    """Return how many seconds our clock is ahead of the response's date; 0 when it has none."""
    with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError):
        return now - email.utils.parsedate_to_datetime(headers["date"]).timestamp()
    return 0.0


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return http.HTTPStatus(status).phrase
    return "(unknown status)"


def explain(error: Exception, response: Any = None, hidden: Iterable[str] = ()) -> str:
    """Return what an exception means, on one line.

    `response`: the library's response to the handshake, with `status` and `headers`; None when there was none.
    """
    if response is not None and response.status in REDIRECTS:
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
