"""The simulated exchange as a server: gevent's WSGI server, gevent-websocket's handshake, a Connection per client."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import LoggingLogAdapter, WSGIServer

from ssmd.errors import ListenError
from ssmd.sim import SIMULATORS
from ssmd.sim.broadcast import Broadcast
from ssmd.sim.connection import GRACE, Connection
from ssmd.sim.faults import Faults
from ssmd.sim.feeds import Feed, MadeUp, Replay
from ssmd.sim.handshake import KEY, SIGNATURE, TIMESTAMP, PublicKey, verify
from ssmd.sim.limits import Limits, require_made_up
from ssmd.sim.markets import Markets
from ssmd.sim.replay import Recording
from ssmd.sim.session import Session
from ssmd.sim.upgrade import Answer, UpgradeHandler, answer, no_upgrade

__all__ = ["HEARTBEAT", "Simulator"]

_log = logging.getLogger("ssmd.sim")

HEARTBEAT = 10.0
"""Seconds between two pings (https://docs.kalshi.com/asyncapi.yaml, Connection Keep-Alive)."""

_KALSHI = SIMULATORS["kalshi"]

# These addresses mean all interfaces; a client cannot connect to them.
_EVERYWHERE = ("", "0.0.0.0", "::")


class Simulator:
    """A simulated Kalshi on its own path, and a generic exchange without keys on every other path.

    Keeps the contract of a Service. It listens once it is constructed, and answers while serve() runs.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        credentials: Mapping[str, PublicKey],
        rate: float,
        seed: int = 1,
        replay: Recording | None = None,
        speed: float = 1.0,
        faults: Faults | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """Raises ListenError for an address that cannot be used, UsageError for faults and limits that would have no
        effect on a recording, and what Recording.check() raises.

        `credentials`: public key by key id. `rate`: messages a second on each connection (0: flat out). `speed`: lines
        of ssmd are replayed this many times as fast as they were recorded (0: flat out). `heartbeat`: seconds.
        """
        self._faults = faults or Faults()
        self._limits = limits or Limits()
        if replay is not None:
            replay.check()
            require_made_up(self._faults, self._limits)
        self._credentials = dict(credentials)
        self._rate = rate
        self._seed = seed
        self._replay = replay
        self._speed = speed
        self._clock = clock
        self._heartbeat = heartbeat
        self._connections: set[Connection] = set()
        self._stopped = Event()
        self._pool = Pool()
        self._server = _listen(host, port, self._pool, self)
        self.port: int = self._server.server_port
        shown = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
        self.endpoint = f"ws://{shown}:{self.port}{_KALSHI}"

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
        self._server.stop(timeout=2 * GRACE)

    # The contract of Gate, for UpgradeHandler

    def admit(self, sock: Any, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Return None when the handshake may go on, or the answer that refuses it. Kalshi's path needs a signature."""
        self._delay(sock)
        status = self._faults.status
        if status == 403:
            # Not JSON: the proxy in front of the real exchange answers with plain text.
            return Answer(403, b"Forbidden")
        if status is not None:
            return answer(status, *_fields(status))
        if path.partition("?")[0] != _KALSHI:
            return None
        headers = {name: environ.get(f"HTTP_{name.replace('-', '_')}", "") for name in (KEY, TIMESTAMP, SIGNATURE)}
        refused = verify(headers, path, int(self._clock() * 1000), self._credentials)
        if refused is None:
            return None
        _log.info("handshake refused", extra={"status": refused[0], "body": refused[1].decode()})
        return Answer(*refused)

    def serve_client(self, sock: Any, name: str, path: str) -> None:
        """Serve one client after its handshake, until one side closes the connection."""
        with contextlib.suppress(OSError):  # macOS refuses it when the client has reset the connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        feed = self._feed(kalshi=path.partition("?")[0] == _KALSHI)
        connection = Connection(sock, name, feed, self._faults, self._heartbeat)
        self._connections.add(connection)
        _log.info("client connected", extra={"client": name, "path": path.partition("?")[0]})
        try:
            if self._stopped.is_set():
                connection.close(1001, "the simulator is stopping")
            connection.run()
        finally:
            self._connections.discard(connection)
            _log.info("client disconnected", extra={"client": name})

    def _feed(self, kalshi: bool) -> Feed:
        if self._replay is not None:
            return Replay(self._replay.messages(), self._rate, self._speed, waits_for_command=kalshi)
        markets = Markets(self._seed)
        source = Session(markets, self._limits, self._faults) if kalshi else Broadcast(markets)
        return MadeUp(source, self._rate, self._clock)

    def _delay(self, sock: Any) -> None:
        """Leave a handshake unanswered for as long as the faults say, or until the client has gone."""
        until = time.monotonic() + self._faults.handshake_delay
        while (left := until - time.monotonic()) > 0 and not self._stopped.is_set():
            gevent.sleep(min(left, 0.1))
            # The underlying socket does not block: this only checks whether the stream has ended.
            with contextlib.suppress(BlockingIOError):
                if not sock._sock.recv(1, socket.MSG_PEEK):
                    raise ConnectionResetError("it did not wait for the answer")


def _listen(host: str, port: int, pool: Pool, gate: object) -> WSGIServer:
    """Return a server that listens, and calls `gate` for each handshake. Raises ListenError."""
    server = WSGIServer(
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
