"""The simulated Kalshi as a server."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from ssmd.sim.births import SECOND, Births
from ssmd.sim.broadcast import Broadcast
from ssmd.sim.faults import Faults
from ssmd.sim.feeds import Feed, MadeUp, Source
from ssmd.sim.handshake import KEY, SIGNATURE, TIMESTAMP, PublicKey, verify
from ssmd.sim.limits import Limits, require_made_up
from ssmd.sim.listening import Server
from ssmd.sim.markets import Markets
from ssmd.sim.replay import Recording
from ssmd.sim.replay_feed import Replay
from ssmd.sim.rest.server import REST, RestInterface
from ssmd.sim.session import Session
from ssmd.sim.universe import Universe
from ssmd.sim.upgrade import Answer

__all__ = ["HEARTBEAT", "Simulator"]

_log = logging.getLogger("ssmd.sim")

HEARTBEAT = 10.0
"""Seconds between two pings (https://docs.kalshi.com/asyncapi.yaml, Connection Keep-Alive)."""

_KALSHI = "/trade-api/ws/v2"


class Simulator(Server):
    """A simulated Kalshi on its own path, and a generic exchange without keys on every other path."""

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
        births: Births | None = None,
        clock: Callable[[], float] = time.time,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """Raises ListenError for an address that cannot be used, UsageError for faults and limits that would have no
        effect on a recording, and what Recording.check() raises.

        `credentials`: public key by key id. `rate`: messages a second on each connection (0: flat out). `speed`: lines
        of ssmd are replayed this many times as fast as they were recorded (0: flat out). `heartbeat`: seconds.
        """
        faults, self._limits = faults or Faults(), limits or Limits()
        if replay is not None:
            replay.check()
            require_made_up(faults, self._limits, births)
        self._credentials = dict(credentials)
        self._rate = rate
        self._seed = seed
        self._replay = replay
        self._speed = speed
        self._clock = clock
        self.universe = Universe(seed, births, int(clock() * SECOND))
        self.heartbeat = heartbeat
        self._rest = None
        if replay is None:
            requests = self._limits.requests_per_second
            self._rest = RestInterface(self.universe, self._credentials, requests, faults, clock)
        super().__init__(host, port, _KALSHI, faults)
        self.rest_endpoint = f"http://{self.address}{REST}" if self._rest else ""

    def serve(self) -> None:
        """As Server.serve(). Meanwhile markets are also born while no client asks, so that it is not all to be done for
        the next one.
        """
        births = gevent.spawn(self._keep_up)
        try:
            super().serve()
        finally:
            births.kill()

    def _keep_up(self) -> None:
        while not self._stopped.wait(1.0):
            self.universe.advance(int(self._clock() * SECOND))

    def _answer(self, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Answer what is below the path of the REST interface."""
        if self._rest is None or not path.startswith(f"{REST}/"):
            return None
        return self._rest.answer(environ, path, self._stopped)

    def _refusal(self, environ: Mapping[str, Any], path: str) -> Answer | None:
        """Kalshi's path needs a signature."""
        if path.partition("?")[0] != _KALSHI:
            return None
        headers = {name: environ.get(f"HTTP_{name.replace('-', '_')}", "") for name in (KEY, TIMESTAMP, SIGNATURE)}
        refused = verify(headers, path, int(self._clock() * 1000), self._credentials)
        if refused is None:
            return None
        _log.info("handshake refused", extra={"status": refused[0], "body": refused[1].decode()})
        return Answer(*refused)

    def _feed(self, path: str) -> Feed:
        kalshi = path.partition("?")[0] == _KALSHI
        if self._replay is not None:
            return Replay(self._replay.batches(), self._rate, self._speed, waits_for_command=kalshi)
        source: Source = Broadcast(Markets(self._seed))
        if kalshi:
            source = Session(Markets(self._seed, self.universe), self._limits, self._faults)
        return MadeUp(source, self._rate, self._clock)
