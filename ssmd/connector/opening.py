"""How a connection is opened: the request before it, the socket, the handshake and the opening commands."""

from __future__ import annotations

import contextlib
import http.cookies
import logging
import os
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket

from ssmd.connector.dial import BoundedHead, open_socket
from ssmd.connector.frames import FrameReader
from ssmd.connector.http_call import HttpCall, is_good
from ssmd.connector.place import PREPARING, Place, address_fault, headers_fault, shown_host
from ssmd.connector.proxy import Proxy, proxy_for
from ssmd.connector.refusal import explain, refusal
from ssmd.contracts.exchange import Exchange, Opening
from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.errors import ConnectError, printable
from ssmd.metadata.shown import shown_endpoint

__all__ = ["ANSWER_BYTES", "Opener"]

ANSWER_BYTES = 1 << 20
"""The most that the body of an answer before the connection may have. Honest ones have a few hundred bytes."""

_log = logging.getLogger("ssmd.connector")


class Opener:
    """Opens one connection, once. The arguments are those of WebSocketConnector.

    Raises ConfigError for a proxy that cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        exchange: Exchange,
        reader: FrameReader,
        *,
        direct: bool,
        wall_clock: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._exchange = exchange
        self._reader = reader
        self._direct = direct
        self._wall_clock = wall_clock
        self._sock: Any = None
        self._answer: HttpCall | BoundedHead | None = None
        self._signed = self._closed = False
        self._allowed = ["wss", "ws"] if endpoint.lower().startswith("ws://") else ["wss"]
        self.hidden: Collection[str] = ()
        """What the log and errors must not show."""
        self.place = Place(shown_endpoint(endpoint), self._proxy(endpoint))
        """Where it connects."""
        self.decompress = ""
        """As in Opening."""

    def open(self, seconds: float) -> None:
        """Do all of it within so many seconds. Raises ConnectError and AuthError."""
        with contextlib.ExitStack() as unless_open:
            unless_open.callback(self.hang_up)
            self._open(seconds)
            unless_open.pop_all()

    def _open(self, seconds: float) -> None:
        with gevent.Timeout(seconds) as deadline:
            try:
                request = self._exchange.prepare(self._now_ms())
                if request is not None:
                    self._prepare(request)
                self._connect(self._exchange.opening(self._endpoint, self._now_ms()))
                for command in self._exchange.commands():
                    self._reader.send(command)
            except gevent.Timeout as timeout:
                if timeout is not deadline:
                    raise
                raise self._failed(f"no answer within {seconds:g} s") from None
            except websocket.WebSocketBadStatusException as refused:
                raise self._not_upgraded(refused) from None
            except (OSError, ValueError, websocket.WebSocketException, http.cookies.CookieError) as error:
                raise self._failed(explain(error, self._reader.handshake_response, self.hidden)) from None

    def _prepare(self, request: HttpRequest) -> None:
        """Make the request before the connection, and give the exchange the body of the answer."""
        self.hidden, self._signed = request.hidden, request.signed
        self.place = Place(shown_endpoint(self._endpoint), purpose=PREPARING)
        self._require(request.url, ["https", "http"], request.headers)
        self.place = Place(shown_host(request.url, "", self.hidden), self._proxy(request.url), purpose=PREPARING)
        if request.url.lower().startswith("http://"):
            self._allowed = ["wss", "ws"]
        with contextlib.closing(self._socket(request.url)) as sock:
            self._answer = call = HttpCall(sock, request, ANSWER_BYTES)
            answer = call.answer()
        self._answer = None
        if not is_good(answer.status):
            raise self._refused(answer)
        try:
            self._exchange.prepared(answer.body)
        except ConnectError as error:
            raise type(error)(self.place.failed(str(error)), error.wait_seconds) from None

    def _connect(self, opening: Opening) -> None:
        """Connect, and make the handshake."""
        self.hidden, self._signed = {*self.hidden, *opening.hidden}, opening.signed
        self.place = Place(shown_endpoint(self._endpoint))
        self._require(opening.url, self._allowed, opening.headers)
        self.place = Place(shown_host(opening.url, self._endpoint, self.hidden), self._proxy(opening.url))
        if urlsplit(opening.url).hostname != urlsplit(self._endpoint).hostname:
            _log.info("connecting to a host that is not in the feed's endpoint", extra={"host": self.place.host})
        sock = self._socket(opening.url)
        self._reader.sock = sock
        self._answer = BoundedHead(sock)
        headers = dict(opening.headers)
        if opening.subprotocol:
            headers["Sec-WebSocket-Protocol"] = opening.subprotocol
        # Redirects are not followed: the signed headers would go to the host that is named there.
        self._reader.connect(
            opening.url, socket=self._answer, header=headers, suppress_origin=True, redirect_limit=0
        )
        self._reader.sock = sock
        self._answer = None
        self._require_subprotocol(opening.subprotocol)
        self.decompress = opening.decompress

    def _require(self, url: str, schemes: list[str], headers: Mapping[str, str]) -> None:
        """Raise ConnectError unless an address and headers with their values filled in may be used."""
        if fault := address_fault(url, schemes, self.hidden) or headers_fault(headers):
            raise ConnectError(self.place.failed(fault))

    def _require_subprotocol(self, wanted: str) -> None:
        """Raise ConnectError when the exchange has not chosen the subprotocol (RFC 6455, 4.1)."""
        response = self._reader.handshake_response
        chosen = "" if response is None else str(response.headers.get("sec-websocket-protocol", "")).strip()
        if wanted and chosen.lower() != wanted.lower():
            does = f"chose the subprotocol {printable(chosen, 50, self.hidden)}" if chosen else "chose no subprotocol"
            raise ConnectError(self.place.failed(f"it {does}, but the feed's dialect asks for {wanted}"))

    def _socket(self, url: str) -> Any:
        """Return a socket that leads to the host of the URL."""
        self._require_open()
        self._sock = open_socket(url, self.place.proxy)
        self._require_open()
        return self._sock

    def _require_open(self) -> None:
        if self._closed:
            raise ConnectionAbortedError("closed before it was connected")

    def _proxy(self, url: str) -> Proxy | None:
        return None if self._direct else proxy_for(url, os.environ)

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)

    def _failed(self, reason: str) -> ConnectError:
        """Return the error for `reason`, or the exchange's refusal when the failure was only in the rest of its
        answer.
        """
        refused = None if self._answer is None else self._answer.refused()
        return ConnectError(self.place.failed(reason)) if refused is None else self._refused(refused)

    def _not_upgraded(self, refused: websocket.WebSocketBadStatusException) -> ConnectError:
        """Return the error for the library's exception about the answer to the handshake."""
        if refused.status_code is None:
            return self._failed("it did not answer in HTTP")
        return self._refused(HttpAnswer(refused.status_code, refused.resp_headers or {}, refused.resp_body or b"", 0.0))

    def _refused(self, answer: HttpAnswer) -> ConnectError:
        return refusal(self.place, answer, self._wall_clock(), signed=self._signed, hidden=self.hidden)

    def close(self) -> None:
        """Hang up, now or as soon as there is a socket."""
        self._closed = True
        self.hang_up()

    def hang_up(self) -> None:
        """Shut the connection down in both directions. This wakes a greenlet that waits for the socket; closing the
        socket would not do that cleanly.
        """
        if self._sock is not None:
            with contextlib.suppress(OSError, ValueError):
                self._sock.shutdown(socket.SHUT_RDWR)
