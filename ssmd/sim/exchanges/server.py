"""A simulated exchange of the catalog as a server, and its faults."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.exchanges.rules import Request, Rules, Setting
from ssmd.sim.faults import EXCHANGE_FAULTS, Faults
from ssmd.sim.feeds import Feed
from ssmd.sim.limits import Rate
from ssmd.sim.listening import Server
from ssmd.sim.upgrade import Answer, answer

__all__ = ["ExchangeServer", "faults_of", "read_faults"]


class ExchangeServer(Server):
    """Serves the exchange of that name; each client gets data of its own."""

    heartbeat = math.inf

    def __init__(self, name: str, host: str, port: int, setting: Setting, faults: Faults | None = None) -> None:
        """Raises ListenError for an address that cannot be used."""
        self.rules = EXCHANGES[name]
        faults = faults or Faults()
        self._setting = setting._replace(refused=frozenset(faults.refused))
        self._connects = Rate(*self.rules.connects) if self.rules.connects else None
        self._shared: dict[str, Any] = {}
        super().__init__(host, port, self.rules.path, faults)

    def _refusal(self, environ: Mapping[str, Any], path: str) -> Answer | None:
        place, _, query = path.partition("?")
        request = Request(environ["REQUEST_METHOD"], place, dict(parse_qsl(query)), self.address)
        if (answered := self.rules.http(request, self._shared)) is not None:
            return answered
        if place.rstrip("/") != self.rules.path.rstrip("/"):
            return answer(404)
        now_ns = int(time.monotonic_ns() * self._setting.faster)
        return None if self._connects is None or self._connects.allows(now_ns) else answer(429)

    def _feed(self, path: str) -> Feed:
        return self.rules(self._setting, dict(parse_qsl(path.partition("?")[2])), self._shared)


def faults_of(name: str) -> dict[str, str]:
    """Return each fault that the exchange can have, as a user writes it, and what it does."""
    announces = EXCHANGES[name].notice is not Rules.notice
    return {fault: text for fault, text in EXCHANGE_FAULTS.items() if announces or not fault.startswith("notice-")}


def read_faults(name: str, texts: Iterable[str]) -> Faults:
    """Return the faults that texts like `gap-after=100` name. Raises UsageError, which lists those that exist."""
    return Faults.parse_for(texts, faults_of(name), EXCHANGES[name].channels)
