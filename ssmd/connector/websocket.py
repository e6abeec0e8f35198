"""The connector for WebSocket feeds: all socket I/O, and no knowledge of any exchange."""

from __future__ import annotations

import contextlib
import http.cookies
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

import gevent
import websocket

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.dial import BoundedHead, open_socket
from ssmd.connector.frames import CloseFrame, FrameReader, MessageTooBig
from ssmd.connector.patience import DATA, IDLE, PING, Patience
from ssmd.connector.proxy import proxy_for
from ssmd.connector.refusal import explain, refusal
from ssmd.contracts.exchange import Exchange
from ssmd.errors import ConnectError, Disconnected, printable

__all__ = ["CONNECT_SECONDS", "WebSocketConnector"]

CONNECT_SECONDS = 10.0
"""One deadline for the name lookup, TCP, TLS, the handshake and the opening commands."""

SEND_SECONDS = 5.0
"""How long the exchange may take to read the commands of one send(). Nothing is read from it in this time."""

FAIRNESS_SECONDS = 0.001
"""How long the reading may go on without a pause before other greenlets get their turn."""


class WebSocketConnector:
    """Reads one WebSocket connection; keeps the Connector contract of contracts/connector.py.

    `endpoint`: a ws:// or wss:// URL; that of `config` may be the simulator's. Certificates are always verified.
    `exchange`: the dialect; it gives the handshake's headers, the opening commands and `tick_seconds`.
    `data_timeout_seconds`: silence, pings not included, after which the connection ends; None for never.
    `direct`: ignore the proxy that HTTPS_PROXY and similar variables name. Raises ConfigError when it cannot be used.
    `connect_seconds`: the deadline of connect(). `wall_clock`: Unix seconds, for the signature.
    """

    Config: ClassVar = WebSocketConfig

    def __init__(
        self,
        endpoint: str,
        exchange: Exchange,
        config: WebSocketConfig,
        *,
        data_timeout_seconds: float | None = None,
        direct: bool = False,
        connect_seconds: float = CONNECT_SECONDS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        url = urlsplit(endpoint)
        # For log and errors: without a query, which may hold a secret.
        self._host = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        self._exchange = exchange
        self._idle_seconds = config.idle_timeout_seconds
        self._data_seconds = data_timeout_seconds
        self._proxy = None if direct else proxy_for(endpoint, os.environ)
        self._place = self._host if self._proxy is None else f"{self._host} through the proxy {self._proxy}"
        self._connect_seconds = connect_seconds
        self._wall_clock = wall_clock
        self._closing = self._pinged = self._signed = False
        self._is_data = True
        self._hidden: Collection[str] = ()
        self.decompress = ""
        self.not_decompressed = 0
        self._head: BoundedHead | None = None
        self._reader = FrameReader(config.max_message_bytes, config.coalesce_seconds)

    def connect(self) -> None:
        with contextlib.ExitStack() as unless_open:
            unless_open.callback(self._hang_up)
            self._open()
            unless_open.pop_all()
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
            except (OSError, ValueError, websocket.WebSocketException, http.cookies.CookieError) as error:
                raise self._failed(explain(error, self._reader.handshake_response, self._hidden)) from None

    def _handshake(self) -> None:
        if self._closing:
            raise ConnectionAbortedError("closed before it was connected")
        sock = open_socket(self._endpoint, self._proxy)
        self._reader.sock = sock
        if self._closing:
            raise ConnectionAbortedError("closed before it was connected")
        opening = self._exchange.opening(self._endpoint, int(self._wall_clock() * 1000))
        self._hidden = opening.hidden
        self._signed = opening.signed
        self._head = BoundedHead(sock)
        # Redirects are not followed: the signed headers would go to the host that is named there.
        self._reader.connect(
            self._endpoint,
            socket=self._head,
            header=dict(opening.headers),
            suppress_origin=True,
            redirect_limit=0,
        )
        self._reader.sock = sock
        self._head = None

    def _failed(self, reason: str) -> ConnectError:
        """Return the error for `reason`, or the exchange's refusal when the failure was only in the rest of its
        answer.
        """
        refused = None if self._head is None else self._head.refused()
        if refused is not None:
            return self._refused(refused)
        return ConnectError(f"cannot connect to {self._place}: {reason}")

    def _refused(self, refused: websocket.WebSocketBadStatusException) -> ConnectError:
        return refusal(self._place, refused, self._wall_clock(), signed=self._signed, hidden=self._hidden)

    def messages(self) -> Iterator[list[bytes]]:
        if self._closing:
            return
        monotonic, reader = time.monotonic, self._reader
        last_pause = now = monotonic()
        patience = Patience(self._idle_seconds, self._data_seconds, self._exchange.tick_seconds, now)
        while True:
            began = monotonic()
            try:
                reader.silence_seconds = patience.wait(began)
                payloads = reader.recv_batch()
                patience.waited = 0.0
            except (CloseFrame, OSError, ValueError, websocket.WebSocketException) as error:
                if self._closing:
                    return
                self._require_time_left(error, patience.limit)
                payloads = []
                patience.passed(reader.silence_seconds)
                if patience.limit == PING:
                    self._ping(patience)
            # After close() too: what has arrived is yielded, and then the read finds the socket's end.
            now = monotonic()
            if now - began > FAIRNESS_SECONDS:
                last_pause = now  # It has waited, and the other greenlets had their turn.
            if payloads:
                self._is_data = True
                yield payloads
                del payloads  # See Reader.
                now = monotonic()
                if self._is_data:
                    patience.last_data = now
            if now >= patience.next_tick:
                yield []
                patience.ticked(now, self._exchange.tick_seconds)
                now = monotonic()
            if now - last_pause > FAIRNESS_SECONDS:
                # While a socket always has data, the reading never waits, and other greenlets would starve. sleep(0) is
                # not enough: gevent runs many such callbacks before it looks at its sockets again.
                gevent.sleep(1e-6)
                last_pause = monotonic()

    def _require_time_left(self, error: Exception, limit: str) -> None:
        """Raise Disconnected, unless the error is a time-out after which reading goes on: at a tick, or for a ping."""
        if not isinstance(error, TimeoutError) or error.errno is not None:  # With a number, the kernel has given up.
            raise self._disconnected(error) from None
        if limit in (IDLE, DATA):
            raise self._silent(limit) from None

    def _ping(self, patience: Patience) -> None:
        """Ask a silent exchange for a sign of life. Any frame counts as one, so the answer itself is not looked for."""
        began = time.monotonic()
        self._pinged = self._reader.send_ping(self._idle_seconds / 2)
        patience.pinged()
        patience.passed(time.monotonic() - began)

    def no_data(self) -> None:
        self._is_data = False

    def send(self, commands: Sequence[bytes]) -> None:
        if self._closing or not commands:
            return
        try:
            self._reader.send_texts(commands, SEND_SECONDS)
        except TimeoutError:
            raise Disconnected(f"{self._host} does not read what is sent to it") from None

    def _disconnected(self, error: Exception) -> Disconnected:
        if isinstance(error, CloseFrame):
            code = "no code" if error.code is None else f"code {error.code}"
            reason = printable(error.reason, hidden=self._hidden)
            closed = f"{self._host} closed the connection: {code}" + (f", {reason}" if reason else "")
            return Disconnected(closed, error.code)
        if isinstance(error, MessageTooBig):
            self._reader.send_close(websocket.STATUS_MESSAGE_TOO_BIG)
            return Disconnected(f"{self._host} sent {error}; raise max_message_bytes in the feed if that is right")
        if isinstance(error, websocket.WebSocketProtocolException | websocket.WebSocketPayloadException):
            self._reader.send_close(websocket.STATUS_PROTOCOL_ERROR)
            return Disconnected(f"{self._host} broke the WebSocket protocol: {explain(error, hidden=self._hidden)}")
        return Disconnected(f"the connection to {self._host} was lost: {explain(error, hidden=self._hidden)}")

    def _silent(self, limit: str) -> Disconnected:
        if limit == DATA:
            return Disconnected(f"no data came from {self._host} for {self._data_seconds:g} s (data_timeout_seconds)")
        if self._reader.mid_frame:
            within = f"{self._idle_seconds:g} s (idle_timeout_seconds)"
            return Disconnected(f"{self._host} began a message, and did not complete it within {within}")
        ours = "an answer to our ping" if self._pinged else "a ping, and our own could not be sent"
        return Disconnected(f"nothing came from {self._host} for {self._idle_seconds:g} s, not even {ours}")

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._reader.connected:
            self._reader.send_close(websocket.STATUS_GOING_AWAY)
        self._hang_up()

    def _hang_up(self) -> None:
        """Shut the connection down in both directions. This wakes a greenlet that waits for the socket; closing the
        socket would not do that cleanly.
        """
        if self._reader.sock is not None:
            with contextlib.suppress(OSError, ValueError):
                self._reader.sock.shutdown(socket.SHUT_RDWR)
