"""The connector for REST feeds: every answer to its requests is a message."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from ssmd.connector.rest.config import RestConfig
from ssmd.connector.rest.dialect import RestDialect, RestExchange
from ssmd.connector.rest.poller import Deal, Limits, Poller
from ssmd.contracts import events
from ssmd.contracts.writer import Reads
from ssmd.errors import AuthError, ConnectError, Disconnected
from ssmd.pace import Pace
from ssmd.runtime.outcomes import error_of, outcome

__all__ = ["CONNECT_SECONDS", "HELD_BYTES", "RestConnector"]

CONNECT_SECONDS = 60.0
"""How long to wait for the first good answer, when the environment has no `data_timeout_seconds`."""

HELD_BYTES = 64 << 20
"""While more has arrived that the writer has not taken, no further request is made."""

_LOOK_SECONDS = 0.25
"""How often to look whether a request has failed for too long."""


class RestConnector:
    """Makes the requests of a REST feed; keeps the Connector contract of contracts/connector.py.

    It is connected from the first good answer on. `endpoint`: the URL below which the requests are. `exchange`: signs
    them. `data_timeout_seconds`: a request that fails for so long ends the connection; None for never. `direct`: ignore
    the proxy that HTTPS_PROXY and similar variables name.
    """

    Config: ClassVar = RestConfig
    dialect_of: ClassVar = RestDialect
    decompress = ""
    not_decompressed = 0

    def __init__(
        self,
        endpoint: str,
        exchange: RestExchange,
        config: RestConfig,
        *,
        data_timeout_seconds: float | None = None,
        direct: bool = False,
    ) -> None:
        self._data_seconds = data_timeout_seconds
        self._arrived: deque[tuple[int | None, bytes, events.Response]] = deque()
        self._held_bytes = 0
        self._clock: Callable[[], int] | None = None
        self._news, self._room = Event(), Event()
        self._closing = self._answered = False
        self._counts_from = 0.0
        """The monotonic time from which failures count; infinite while silence is expected."""
        self._running: list[gevent.Greenlet] = []
        self.events: Sequence[events.Event] = ()
        self.unchanged: int | None = 0
        self.last_read: float | None = None
        pace = Pace(exchange.requests_per_second)
        limits = Limits(config.request_timeout_seconds, config.max_message_bytes, pace, BoundedSemaphore(1), direct)
        deal = Deal(self._take, self._take_answer, self._count_unchanged, self._wait_for_room)
        self._pollers = [Poller(spec, endpoint, exchange, limits, deal) for spec in exchange.requests]

    def connect(self) -> None:
        if self._closing:
            raise ConnectError("closed before it was connected")
        self._running = [gevent.spawn(outcome, poller.run) for poller in self._pollers]
        limit = CONNECT_SECONDS if self._data_seconds is None else self._data_seconds
        until = time.monotonic() + limit
        while not self._answered:
            self._require_running()
            errors = [poller.error for poller in self._pollers if poller.error is not None]
            refused = next((error for error in errors if isinstance(error, AuthError)), None)
            if self._closing or refused is not None or time.monotonic() > until:
                self.close()
                raise refused or ConnectError(str(errors[0]) if errors else f"no answer came within {limit:g} s")
            self._wait()

    def messages(self, clock: Callable[[], int]) -> Iterator[tuple[Reads, list[bytes]]]:
        self._clock = clock
        while True:
            while self._arrived:
                received_ns, body, response = self._arrived.popleft()
                self._held_bytes -= len(body)
                self.events = (response,)
                yield [(clock() if received_ns is None else received_ns, 1)], [body]
                self.events = ()
                del body
                self._room.set()
            if self._closing:
                return
            self._require_running()
            self._require_answers()
            self._wait()

    def _wait(self) -> None:
        self._news.wait(_LOOK_SECONDS)
        self._news.clear()

    def _require_running(self) -> None:
        """Raise what has ended a greenlet: a bug, or a proxy that cannot be used."""
        for greenlet in self._running:
            if not self._closing and greenlet.dead and (error := error_of(greenlet)) is not None:
                raise error

    def _require_answers(self) -> None:
        """Raise Disconnected when a request has failed for too long, AuthError when it is about the keys."""
        if self._data_seconds is None:
            return
        now = time.monotonic()
        for poller in self._pollers:
            failing = min(poller.failing_seconds(now), now - self._counts_from)
            if poller.error is not None and failing > self._data_seconds:
                reason = f"{poller.path} has failed for {self._data_seconds:g} s (data_timeout_seconds): {poller.error}"
                raise AuthError(reason) if isinstance(poller.error, AuthError) else Disconnected(reason)

    def _take(self, body: bytes, response: events.Response) -> None:
        self._arrived.append((None if self._clock is None else self._clock(), body, response))
        self._held_bytes += len(body)
        self._news.set()

    def _take_answer(self) -> None:
        self._answered = True
        self.last_read = time.monotonic()
        self._news.set()

    def _count_unchanged(self) -> None:
        self.unchanged = (self.unchanged or 0) + 1

    def _wait_for_room(self) -> None:
        while self._held_bytes > HELD_BYTES:
            self._room.clear()
            self._room.wait()

    @property
    def missing(self) -> Sequence[str]:
        now = time.monotonic()
        return [reason for poller in self._pollers if (reason := poller.missing(now)) is not None]

    @property
    def held_ns(self) -> int | None:
        return self._arrived[0][0] if self._arrived else None

    def no_data(self) -> None:
        pass

    def expect_silence(self, expected: bool) -> None:
        self._counts_from = math.inf if expected else time.monotonic()

    def send(self, commands: Sequence[bytes]) -> None:
        pass

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        for poller in self._pollers:
            poller.close()
        gevent.killall(self._running, block=False)
        self._news.set()

