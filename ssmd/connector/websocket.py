"""The connector for WebSocket feeds: all socket I/O, and no knowledge of any exchange."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import websocket

from ssmd.connector.closing import CloseFrame
from ssmd.connector.config import WebSocketConfig
from ssmd.connector.frames import FrameReader
from ssmd.connector.inflate import InflatingReader
from ssmd.connector.opening import Opener
from ssmd.connector.patience import DATA, PING, Patience
from ssmd.connector.refusal import explain
from ssmd.connector.strict import MessageTooBig
from ssmd.contracts.events import Event
from ssmd.contracts.exchange import Exchange
from ssmd.contracts.writer import Reads
from ssmd.errors import Disconnected, SsmdError, SubscriptionRefused, printable

__all__ = ["CONNECT_SECONDS", "WebSocketConnector"]

CONNECT_SECONDS = 10.0
"""One deadline for the request before the connection, the name lookups, TCP, TLS, the handshake and the opening
commands."""

SEND_SECONDS = 5.0
"""How long the exchange may take to read the commands of one send(). Nothing is read from it in this time."""


class WebSocketConnector:
    """Reads one WebSocket connection; keeps the Connector contract of contracts/connector.py.

    `endpoint`: a ws:// or wss:// URL, perhaps with placeholders; that of `config` may be the simulator's. Certificates
    are always verified. `exchange`: the dialect; it says how to open the connection, and what the opening commands are.
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
        self._exchange = exchange
        self._idle_seconds = config.idle_timeout_seconds
        self._data_seconds = data_timeout_seconds
        self._max_message_bytes = config.max_message_bytes
        self._connect_seconds = connect_seconds
        self._closing = self._pinged = False
        self._is_data = True
        self._yielded = self._no_data = 0
        self._patience: Patience | None = None
        self._silence_expected = False
        self._reader = FrameReader(config.max_message_bytes, config.coalesce_seconds)
        self._opener = Opener(endpoint, exchange, self._reader, direct=direct, wall_clock=wall_clock)
        self._inflating: InflatingReader | None = None

    def connect(self) -> None:
        self._opener.open(self._connect_seconds)
        if method := self._opener.decompress:
            self._inflating = InflatingReader(self._reader, method, self._max_message_bytes)

    @property
    def decompress(self) -> str:
        return self._opener.decompress

    @property
    def unchanged(self) -> int | None:
        return None

    @property
    def missing(self) -> Sequence[str]:
        return ()

    @property
    def not_decompressed(self) -> int:
        return 0 if self._inflating is None else self._inflating.not_inflated

    def messages(self, clock: Callable[[], int]) -> Iterator[tuple[Reads, list[bytes]]]:
        if self._closing:
            return
        monotonic, reader, receiver = time.monotonic, self._reader, self._inflating or self._reader
        reader.begin(self._idle_seconds, binary=self._inflating is not None, clock=clock)
        now = monotonic()
        self._patience = patience = Patience(
            self._idle_seconds, self._data_seconds, self._exchange.tick_seconds, now
        )
        patience.expect_silence(self._silence_expected, now)
        while True:
            try:
                reader.silence_seconds = patience.wait(now)
                payloads = receiver.recv_batch()
                patience.waited = 0.0
            except (CloseFrame, OSError, ValueError, websocket.WebSocketException) as error:
                if self._closing:
                    return
                self._require_time_left(error, patience)
                payloads = []
                patience.passed(reader.silence_seconds)
                if patience.limit == PING:
                    self._ping(patience)
            # After close() too: what has arrived is yielded, and then the read finds the socket's end.
            self._is_data = bool(payloads)
            if payloads:
                self._yielded = len(payloads)
                yield receiver.received, payloads
            del payloads  # See Reader._read().
            now = monotonic()
            if self._is_data:
                patience.last_data, self._no_data = now, 0
            if now >= patience.next_tick:
                # The messages that are held come later. Their times must not be before that of the tick.
                yield [(receiver.held_ns or clock(), 0)], []
                patience.ticked(now, self._exchange.tick_seconds)
                now = monotonic()
            now = reader.let_others_run(now)

    @property
    def held_ns(self) -> int | None:
        return (self._inflating or self._reader).held_ns

    @property
    def last_read(self) -> float | None:
        return self._reader.read_at or None

    @property
    def _host(self) -> str:
        """The address that it is connected to, for the log and errors."""
        return self._opener.place.host

    def _require_time_left(self, error: Exception, patience: Patience) -> None:
        """Raise Disconnected, unless the error is a time-out after which reading goes on: at a tick, or for a ping."""
        if not isinstance(error, TimeoutError) or error.errno is not None:  # With a number, the kernel has given up.
            raise self._disconnected(error) from None
        if patience.is_over():
            raise self._silent(patience.limit) from None

    def _ping(self, patience: Patience) -> None:
        """Ask a silent exchange for a sign of life. Any frame counts as one, so the answer itself is not looked for."""
        began = time.monotonic()
        self._pinged = self._reader.send_ping(self._idle_seconds / 2)
        patience.pinged()
        patience.passed(time.monotonic() - began)

    @property
    def events(self) -> Sequence[Event]:
        return ()

    def no_data(self) -> None:
        self._is_data = False
        self._no_data += self._yielded

    def expect_silence(self, expected: bool) -> None:
        self._silence_expected = expected
        if self._patience is not None:
            self._patience.expect_silence(expected, time.monotonic())

    def send(self, commands: Sequence[bytes]) -> None:
        if self._closing or not commands:
            return
        self._reader.hurry()  # What comes next may be the answer.
        try:
            self._reader.send_texts(commands, SEND_SECONDS)
        except TimeoutError:
            raise Disconnected(f"{self._host} does not read what is sent to it") from None

    def _disconnected(self, error: Exception) -> SsmdError:
        hidden = self._opener.hidden
        if isinstance(error, CloseFrame):
            reason = printable(error.reason, hidden=hidden)
            if (meant := self._exchange.closed(error.code, reason)) is not None:
                if isinstance(meant, Disconnected | SubscriptionRefused):
                    meant.code = error.code
                return meant
            code = "no code" if error.code is None else f"code {error.code}"
            closed = f"{self._host} closed the connection: {code}" + (f", {reason}" if reason else "")
            return Disconnected(closed, error.code)
        if isinstance(error, MessageTooBig):
            self._reader.send_close(websocket.STATUS_MESSAGE_TOO_BIG)
            return Disconnected(f"{self._host} sent {error}; raise max_message_bytes in the feed if that is right")
        if isinstance(error, websocket.WebSocketProtocolException | websocket.WebSocketPayloadException):
            self._reader.send_close(websocket.STATUS_PROTOCOL_ERROR)
            return Disconnected(f"{self._host} broke the WebSocket protocol: {explain(error, hidden=hidden)}")
        return Disconnected(f"the connection to {self._host} was lost: {explain(error, hidden=hidden)}")

    def _silent(self, limit: str) -> Disconnected:
        if limit == DATA:
            silence = f"no data came from {self._host} for {self._data_seconds:g} s (data_timeout_seconds)"
            count = self._no_data
            only = f", only {count:,} messages that `ignore` of the feed's `dialect` selects" if count else ""
            return Disconnected(silence + only)
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
        self._opener.close()
