"""Why a connection failed: the server's answer to the handshake, or an exception, as one line of text.

The server's words are not trusted: see errors.printable().
"""

from __future__ import annotations

import contextlib
import email.utils
import http
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

import websocket

from ssmd.connector.place import CONNECTING, Place
from ssmd.contracts.http import HttpAnswer
from ssmd.errors import AuthError, ConnectError, printable

__all__ = ["LONGEST_WAIT_SECONDS", "REDIRECTS", "explain", "refusal", "retry_after"]

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

LONGEST_WAIT_SECONDS = 60.0
"""A server that asks for a longer wait gets no more than this."""

DEFAULT_WAIT_SECONDS = 30.0
"""The wait after "429 Too Many Requests" without a usable Retry-After."""


def refusal(
    place: Place,
    answer: HttpAnswer,
    now: float,
    *,
    signed: bool = True,
    hidden: Iterable[str] = (),
) -> ConnectError:
    """Return the error for an answer with another HTTP status than it should have; AuthError when it is about the keys.

    `now`: the wall clock in Unix seconds, to compare it with the exchange's. `signed`: keys were sent. `hidden`: texts
    that the error must not show.
    """
    status, headers, body, _ = answer
    if status in REDIRECTS:
        return ConnectError(place.failed(_redirect(status, headers, hidden)))
    quoted = printable(body, hidden=hidden)
    said = f"{printable(str(status), 20)} {_phrase(status)}" + (f": {quoted}" if quoted else "")
    wait = retry_after(headers, now)
    pause = ""
    if wait is not None:
        pause = f"; it asks for a wait of {wait:.0f} s (Retry-After)"
    elif status == http.HTTPStatus.TOO_MANY_REQUESTS:
        wait = DEFAULT_WAIT_SECONDS
    wait = min(wait or 0.0, LONGEST_WAIT_SECONDS)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN) and signed:
        return AuthError(place.has(f"refused the keys: {said}{pause}; {_remedy(headers, now)}"), wait)
    if status == http.HTTPStatus.UNAUTHORIZED:
        what = "the handshake" if place.purpose == CONNECTING else "this request"
        text = place.has(f"demands keys: {said}{pause}; this feed's dialect sends none with {what}")
    elif status == http.HTTPStatus.FORBIDDEN:
        text = place.has(f"refused this host: {said}{pause}; no keys were sent, so check where it connects from")
    else:
        text = place.failed(f"it answered {said}{pause}")
    return ConnectError(text, wait)


def _redirect(status: int, headers: Mapping[str, str], hidden: Iterable[str]) -> str:
    target = printable(str(headers.get("location", "")).partition("?")[0], hidden=hidden)
    return f"it redirects to {target} ({status}), which is never followed; name the final address"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that Retry-After asks to wait for, given as seconds or as a date (RFC 9110, 10.2.3); None
    without a usable one.

    A date is compared with the server's own, so that a wrong clock of this host does not matter.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), 1e9)
    until = _unix(value)
    since = _unix(headers.get("date", ""))
    return None if until is None else max(0.0, until - (now if since is None else since))


def _remedy(headers: Mapping[str, str], now: float) -> str:
    """Return what to do about keys that were refused."""
    remedy = "check that the keys belong together, and to this exchange"
    date = _unix(headers.get("date", ""))
    skew = 0.0 if date is None else now - date
    if abs(skew) > LEAST_CLOCK_SKEW_SECONDS:
        direction = "ahead of" if skew > 0 else "behind"
        remedy = f"this host's clock is {abs(skew):.0f} s {direction} the exchange's; {remedy}"
    return remedy


def _unix(date: str) -> float | None:
    """Return the Unix seconds of an HTTP date; None when the text is not one."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return email.utils.parsedate_to_datetime(date).timestamp()
    return None


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return http.HTTPStatus(status).phrase
    return "(unknown status)"


def explain(error: Exception, response: Any = None, hidden: Iterable[str] = ()) -> str:
    """Return what an exception means, on one line.

    `response`: the library's response to the handshake, with `status` and `headers`; None when there was none.
    """
    if response is not None and response.status in REDIRECTS:
        return _redirect(response.status, response.headers, hidden)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, websocket.WebSocketAddressException | socket.gaierror):
        return f"its host name cannot be resolved: {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error), hidden=hidden) or type(error).__name__
