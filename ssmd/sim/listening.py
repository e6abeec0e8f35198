"""A simulated exchange as a server: gevent's WSGI server, gevent-websocket's handshake, a Connection per client."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import LoggingLogAdapter

from ssmd.errors import ListenError
from ssmd.runtime.listener import Listener
from ssmd.sim.connection import GRACE, Connection
from ssmd.sim.faults import Faults
from ssmd.sim.feeds import Feed
from ssmd.sim.upgrade import Answer, UpgradeHandler, answer, no_upgrade

__all__ = ["Server"]

_log = logging.getLogger("ssmd.sim")

# These addresses mean all interfaces; a client cannot connect to them.
_EVERYWHERE = ("", "0.0.0.0", "::")


class Server(ABC):
    """Serves one exchange, whose rules are in a subclass: who may connect, and what the client then gets.

    Keeps the contract of a Service. It listens once it is constructed, and answers while serve() runs.
    """

    heartbeat: float
    """Seconds between two pings of the server; infinite for none."""

    def __init__(self, host: str, port: int, path: str, faults: Faults) -> None:
        """Raises ListenError for an address that cannot be used. `path`: the exchange's, for the endpoint."""
        self._faults = faults
        self._connections: set[Connection] = set()
        self._asking: set[Any] = set()
        self._stopped = Event()
        self._pool = Pool()
        self._server = _listen(host, port, self._pool, self)
        self.port: int = self._server.server_port
        shown = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
        self.address = f"{shown}:{self.port}"
        self.endpoint = f"ws://{self.address}{path}"

    @abstractmethod
    def _refusal(self, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Return the answer to a handshake that the exchange refuses, or to another HTTP request that it answers;
        None to go on with the handshake. `path` has the query."""

    def _answer(self, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Return the answer to a request of an interface that is not about handshakes, without the faults of those;
        None for another request. `path` has the query; may block.
        """
        return None

    @abstractmethod
    def _feed(self, path: str) -> Feed:
        """Return what a client of this path gets."""

    @property
    def clients(self) -> int:
        """How many clients are connected now, unfinished handshakes included."""
        return len(self._pool)

    def serve(self) -> None:
        """Serve until stop() is called; return at once if it already was."""
        if not self._stopped.is_set():
            self._server.start()
            self._stopped.wait()

    def stop(self) -> None:
        """Stop listening, close every connection with 1001, and drop clients that do not answer. Idempotent."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        for connection in list(self._connections):
            connection.close(1001, "the simulator is stopping")
        for sock in list(self._asking):
            # No further request comes on it, which would otherwise be waited for.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD)
        self._server.stop(timeout=2 * GRACE)

    # The contract of Gate, for UpgradeHandler

    def opened(self, sock: Any) -> None:
        # Otherwise the body of an answer would wait until the client has acknowledged its head, for 40 ms.
        with contextlib.suppress(OSError):  # macOS refuses it when the client has reset the connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._asking.add(sock)

    def closed(self, sock: Any) -> None:
        self._asking.discard(sock)

    def admit(self, sock: Any, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Return None when the handshake may go on, or the answer that refuses it."""
        if (answered := self._answer(environ, path)) is not None:
            return answered
        self._delay(sock)
        status = self._faults.status
        if status == 403:
            # Not JSON: the proxy in front of the real exchange answers with plain text.
            return Answer(403, b"Forbidden")
        if status is not None:
            return answer(status, *_fields(status))
        return self._refusal(environ, path)

    def serve_client(self, sock: Any, name: str, path: str) -> None:
        """Serve one client after its handshake, until one side closes the connection."""
        self.closed(sock)
        connection = Connection(sock, name, self._feed(path), self._faults, self.heartbeat)
        self._connections.add(connection)
        _log.info("client connected", extra={"client": name, "path": path.partition("?")[0]})
        try:
            if self._stopped.is_set():
                connection.close(1001, "the simulator is stopping")
            connection.run()
        finally:
            self._connections.discard(connection)
            _log.info("client disconnected", extra={"client": name})

    def _delay(self, sock: Any) -> None:
        """Leave a handshake unanswered for as long as the faults say, or until the client has gone."""
        until = time.monotonic() + self._faults.handshake_delay
        while (left := until - time.monotonic()) > 0 and not self._stopped.is_set():
            gevent.sleep(min(left, 0.1))
            # The underlying socket does not block: this only checks whether the stream has ended.
            with contextlib.suppress(BlockingIOError):
                if not sock._sock.recv(1, socket.MSG_PEEK):
                    raise ConnectionResetError("it did not wait for the answer")


def _listen(host: str, port: int, pool: Pool, gate: object) -> Listener:
    """Return a server that listens, and calls `gate` for each handshake. Raises ListenError."""
    server = Listener(
        (host, port),
        no_upgrade,
        spawn=pool,
        log=None,
        error_log=LoggingLogAdapter(_log, logging.DEBUG),
        handler_class=UpgradeHandler,
        # Without it the server would look up its own name in the DNS.
        environ={"SERVER_NAME": host},
    )
    server.gate = gate
    server.logger = _log.getChild("handshake")
    try:
        server.init_socket()
    except OSError as error:
        raise ListenError.at(host, port, error) from None
    return server


def _fields(status: int) -> list[tuple[str, str]]:
    """Return the header fields that come with a status."""
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return [("Retry-After", "2")]
    return [("Location", "/elsewhere")] if 300 <= status < 400 else []
