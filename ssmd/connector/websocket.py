"""The connector for WebSocket feeds: all socket I/O, and no knowledge of any exchange."""

from __future__ import annotations

import contextlib
import email.utils
import http
import http.cookies
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket
from gevent.exceptions import ConcurrentObjectUseError
from websocket._handshake import SUCCESS_STATUSES, SUPPORTED_REDIRECT_STATUSES
from websocket._http import connect as open_socket
from websocket._http import proxy_info

from ssmd.connector.frames import CloseFrame, FrameReader, MessageTooBig
from ssmd.errors import AuthError, ConnectError, Disconnected, printable
from ssmd.runtime.interfaces import Exchange

__all__ = ["CONNECT_SECONDS", "WebSocketConnector"]

CONNECT_SECONDS = 10.0
"""One deadline over name lookup, TCP, TLS, the handshake and the opening commands."""

RESPONSE_HEAD_BYTES = 64 * 1024
"""More than this before the connection is upgraded, status line and error body included, is an attack."""

FAIRNESS_SECONDS = 0.001
CLOCK_SKEW_WORTH_TELLING_SECONDS = 5


class WebSocketConnector:
    """Reads one WebSocket connection; keeps the Connector contract of runtime/interfaces.py.

    `endpoint`: a ws:// or wss:// URL. Certificates are verified, and nothing turns that off.
    `exchange`: the dialect, asked for the handshake's headers and the opening commands.
    `idle_timeout_seconds`: silence, pings included, after which the connection counts as dead.
    `max_message_bytes`: the longest message taken; a longer one ends the connection with code 1009.
    `data_timeout_seconds`: silence, pings not included, after which it ends; None for never.
    `direct`: ignore HTTP_PROXY and its like.
    """

    def __init__(
        self,
        endpoint: str,
        exchange: Exchange,
        *,
        idle_timeout_seconds: float = 30.0,
        max_message_bytes: int = 16 * 1024 * 1024,
        data_timeout_seconds: float | None = None,
        direct: bool = False,
        connect_seconds: float = CONNECT_SECONDS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._exchange = exchange
        self._idle_seconds = idle_timeout_seconds
        self._data_seconds = data_timeout_seconds
        self._direct = direct
        self._connect_seconds = connect_seconds
        self._wall_clock = wall_clock
        self._closing = False
        self._head: _BoundedHead | None = None
        self._reader = FrameReader(max_message_bytes)

    def connect(self) -> None:
        try:
            self._open()
        except BaseException:
            self._hang_up()
            raise
        self._reader.begin(self._idle_seconds)

    def _open(self) -> None:
        with gevent.Timeout(self._connect_seconds) as deadline:
            try:
                self._handshake()
                for command in self._exchange.commands():
                    self._reader.send(command)
            except gevent.Timeout as timeout:
                if timeout is not deadline:
                    raise
                raise self._failed(f"no answer within {self._connect_seconds:g} s") from None
            except websocket.WebSocketBadStatusException as refused:
                raise self._refused(refused) from None
            except ssl.SSLCertVerificationError as error:
                raise self._unreachable(f"its TLS certificate is not valid: {error.verify_message}") from None
            except ssl.SSLError as error:
                raise self._unreachable(f"TLS failed: {error.reason or error}") from None
            except (websocket.WebSocketAddressException, socket.gaierror) as error:
                raise self._unreachable(f"its host name cannot be resolved: {error}") from None
            except (OSError, ValueError, websocket.WebSocketException, http.cookies.CookieError) as error:
                raise self._failed(self._explain(error)) from None

    def _handshake(self) -> None:
        url = urlsplit(self._endpoint)
        proxy = proxy_info()
        if self._direct:
            proxy.no_proxy = ["*"]
        if self._closing:
            raise ConnectionAbortedError("closed before it was connected")
        sock, _ = open_socket(self._endpoint, self._reader.sock_opt, proxy, None)
        self._reader.sock = sock
        if self._closing:
            raise ConnectionAbortedError("closed before it was connected")
        headers = self._exchange.headers(url.path or "/", int(self._wall_clock() * 1000))
        self._head = _BoundedHead(sock, RESPONSE_HEAD_BYTES)
        # Redirects are not followed: the signed headers would go to whoever is named there.
        self._reader.connect(
            self._endpoint,
            socket=self._head,
            header=dict(headers),
            suppress_origin=True,
            redirect_limit=0,
        )
        self._reader.sock = sock
        self._head = None

    def _failed(self, reason: str) -> ConnectError:
        """What went wrong, unless the exchange has said no: then only the rest of its answer went wrong."""
        refusal = None if self._head is None else self._head.refusal()
        return self._unreachable(reason) if refusal is None else self._refused(refusal)

    def _refused(self, refused: websocket.WebSocketBadStatusException) -> ConnectError:
        status = refused.status_code
        if status is None:
            return self._unreachable("it did not answer in HTTP")
        body = printable(refused.resp_body or b"")
        answer = f"{printable(str(status), 20)} {_phrase(status)}" + (f": {body}" if body else "")
        if status not in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
            return self._unreachable(f"it answered {answer}")
        remedy = "check that the key id and the private key belong together, and to this exchange"
        skew = self._clock_skew(refused.resp_headers or {})
        if abs(skew) > CLOCK_SKEW_WORTH_TELLING_SECONDS:
            direction = "ahead of" if skew > 0 else "behind"
            remedy = f"this host's clock is {abs(skew):.0f} s {direction} the exchange's; {remedy}"
        return AuthError(f"{self._host()} refused the keys: {answer}; {remedy}")

    def _clock_skew(self, headers: dict[str, str]) -> float:
        """How far our clock is ahead, in seconds; 0 when the response does not tell."""
        with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError):
            return self._wall_clock() - email.utils.parsedate_to_datetime(headers["date"]).timestamp()
        return 0.0

    def _unreachable(self, reason: str) -> ConnectError:
        return ConnectError(f"cannot connect to {self._host()}: {reason}")

    def _host(self) -> str:
        """The endpoint for people: without a query, which may hold a secret."""
        url = urlsplit(self._endpoint)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"

    def _explain(self, error: Exception) -> str:
        response = self._reader.handshake_response
        if response is not None and response.status in SUPPORTED_REDIRECT_STATUSES:
            target = printable(str(response.headers.get("location", "")).partition("?")[0])
            return f"it redirects to {target} ({response.status}), which is never followed; name the final address"
        return _reason(error)

    def messages(self) -> Iterator[list[bytes]]:
        if self._closing:
            return
        last_data = last_pause = time.monotonic()
        while True:
            if self._data_seconds is not None:
                left = last_data + self._data_seconds - time.monotonic()
                self._reader.silence_seconds = min(self._idle_seconds, left)
            try:
                payloads = self._reader.recv_batch()
            except (CloseFrame, OSError, ValueError, websocket.WebSocketException) as error:
                if self._closing:
                    return
                raise self._disconnected(error) from None
            # After close() too: what has arrived is handed out, and then the socket's end is met.
            if payloads:
                yield payloads
                now = last_data = time.monotonic()  # Afterwards: the time the consumer takes is not silence.
            else:
                now = time.monotonic()
            if now - last_pause > FAIRNESS_SECONDS:
                # A socket that always has data never waits, and everything else would starve. sleep(0)
                # is not enough: gevent runs many such callbacks before it looks at its sockets again.
                gevent.sleep(1e-6)
                last_pause = time.monotonic()

    def _disconnected(self, error: Exception) -> Disconnected:
        if isinstance(error, CloseFrame):
            code = "no code" if error.code is None else f"code {error.code}"
            reason = printable(error.reason)
            return Disconnected(f"{self._host()} closed the connection: {code}" + (f", {reason}" if reason else ""))
        if isinstance(error, TimeoutError) and error.errno is None:  # With a number it is the kernel that gave up.
            return self._silent()
        if isinstance(error, MessageTooBig):
            self._reader.send_close(websocket.STATUS_MESSAGE_TOO_BIG)
            return Disconnected(f"{self._host()} sent {error}; raise max_message_bytes in the feed if that is right")
        if isinstance(error, websocket.WebSocketProtocolException | websocket.WebSocketPayloadException):
            self._reader.send_close(websocket.STATUS_PROTOCOL_ERROR)
            return Disconnected(f"{self._host()} broke the WebSocket protocol: {printable(str(error))}")
        return Disconnected(f"the connection to {self._host()} was lost: {_reason(error)}")

    def _silent(self) -> Disconnected:
        if self._reader.silence_seconds < self._idle_seconds:
            return Disconnected(f"no data came from {self._host()} for {self._data_seconds:g} s (data_timeout_seconds)")
        return Disconnected(f"nothing came from {self._host()} for {self._idle_seconds:g} s, not even a ping")

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._reader.connected:
            # It cannot be sent to who does not read, nor while a pong is stuck in the same socket.
            with contextlib.suppress(OSError, ValueError, ConcurrentObjectUseError), gevent.Timeout(1, False):
                self._reader.send_close(websocket.STATUS_GOING_AWAY)
        self._hang_up()

    def _hang_up(self) -> None:
        """End the connection both ways. This wakes whoever waits for the socket, which closing it from another
        greenlet would not do cleanly.
        """
        if self._reader.sock is not None:
            with contextlib.suppress(OSError, ValueError):
                self._reader.sock.shutdown(socket.SHUT_RDWR)


class _BoundedHead:
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

    def refusal(self) -> websocket.WebSocketBadStatusException | None:
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


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return http.HTTPStatus(status).phrase
    return "(unknown status)"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error)) or type(error).__name__
