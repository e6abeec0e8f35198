"""Requests over HTTP, one at a time, over a connection that stays open between them."""

from __future__ import annotations

import contextlib
import os
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket
from gevent.event import Event

from ssmd.connector.dial import open_socket
from ssmd.connector.http_call import HttpCall
from ssmd.connector.place import ASKING, Place, address_fault, headers_fault, shown_host
from ssmd.connector.proxy import proxy_for
from ssmd.connector.refusal import explain
from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.errors import ConnectError

__all__ = ["RestClient", "place_of"]

SAFE_METHODS = ("GET", "HEAD")
"""The methods of requests that may be made again when it is not known whether the server has acted on them."""


def place_of(request: HttpRequest, *, direct: bool = False) -> Place:
    """Return where a request goes, as errors show it. `direct`: without the proxy of the environment.

    Raises ConnectError for a request that is not made, ConfigError for a proxy that cannot be used.
    """
    fault = address_fault(request.url, ["https", "http"], request.hidden) or headers_fault(request.headers)
    if fault:
        raise ConnectError(f"a request cannot be made: {fault}")
    proxy = None if direct else proxy_for(request.url, os.environ)
    return Place(shown_host(request.url, "", request.hidden), proxy, ASKING)


class RestClient:
    """Keeps the HttpClient contract of contracts/http.py. Certificates are always verified.

    `direct`: ignore the proxy that HTTPS_PROXY and similar variables name.
    """

    def __init__(self, *, direct: bool = False) -> None:
        self._direct = direct
        self._closed = Event()
        self._origin: tuple[str, str] = ("", "")
        self._sock: Any = None
        """An open connection to `_origin` on which no request is being made; None without one."""
        self._call: HttpCall | None = None

    def request(self, request: HttpRequest, timeout_seconds: float, most_bytes: int) -> HttpAnswer:
        place = place_of(request, direct=self._direct)
        self._call = None
        # In a greenlet of its own, so that the deadline and close() end it wherever it is.
        work = gevent.spawn(self._outcome, place, request, most_bytes)
        try:
            gevent.wait([work, self._closed], timeout_seconds, count=1)
            is_over = work.dead
        finally:
            work.kill()
        outcome: HttpAnswer | Exception | None = work.get() if is_over else None
        if isinstance(outcome, HttpAnswer):
            return outcome
        if self._call is not None and (refused := self._call.refused()) is not None:
            return refused  # Only the end of its body is missing, which explains the refusal.
        raise ConnectError(place.failed(self._why(outcome, request, timeout_seconds)))

    def _why(self, error: Exception | None, request: HttpRequest, timeout_seconds: float) -> str:
        """Return why there is no answer. `error`: the exception; None when the time is over, or after close()."""
        if self._closed.is_set():
            return "the request was given up"
        if error is not None:
            return explain(error, hidden=request.hidden)
        if self._call is not None and self._call.received:
            return f"its answer did not end within {timeout_seconds:g} s"
        return f"no answer within {timeout_seconds:g} s"

    def _outcome(self, place: Place, request: HttpRequest, most_bytes: int) -> HttpAnswer | Exception:
        """Return the answer or, as a value, the error: gevent prints what a greenlet raises."""
        try:
            return self._answer(place, request, most_bytes)
        except (OSError, ValueError, websocket.WebSocketException) as error:
            return error

    def _answer(self, place: Place, request: HttpRequest, most_bytes: int) -> HttpAnswer:
        kept = self._take(_origin_of(request))
        if kept is not None:
            try:
                return self._perform(kept, request, most_bytes)
            except OSError:
                # The server may have ended the idle connection just before the request came.
                if request.method not in SAFE_METHODS or self._call is None or self._call.received:
                    raise
        return self._perform(open_socket(request.url, place.proxy), request, most_bytes)

    def _perform(self, sock: Any, request: HttpRequest, most_bytes: int) -> HttpAnswer:
        with contextlib.ExitStack() as unless_kept:
            unless_kept.callback(sock.close)
            self._call = HttpCall(sock, request, most_bytes, keep=True)
            answer = self._call.answer()
            if self._call.may_go_on and not self._closed.is_set():
                unless_kept.pop_all()
                self._origin, self._sock = _origin_of(request), sock
            return answer

    def _take(self, origin: tuple[str, str]) -> Any:
        """Return the connection to an origin that was kept, if it is still open; else None."""
        sock, self._sock = self._sock, None
        if sock is None or (origin == self._origin and _is_quiet(sock)):
            return sock
        sock.close()
        return None

    def close(self) -> None:
        self._closed.set()
        self._take(("", ""))


def _origin_of(request: HttpRequest) -> tuple[str, str]:
    parts = urlsplit(request.url)
    return parts.scheme, parts.netloc


def _is_quiet(sock: Any) -> bool:
    """Return whether nothing has come on a connection: neither its end nor bytes without a request."""
    try:
        sock.recv_now(memoryview(bytearray(1)))
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
