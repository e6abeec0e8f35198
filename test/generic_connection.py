"""A connection of the generic dialect, whose times the test sets."""

from __future__ import annotations

import json
from typing import Any

from ssmd.contracts.dialect import Terms
from ssmd.contracts.exchange import Inspection
from ssmd.exchange.generic.connection import GenericConnection
from ssmd.exchange.generic.dialect import Generic

__all__ = ["NOW", "SECRET", "Run", "connection", "texts"]

NOW = 1_790_000_000_000
SECRET = "canary-0123456789"


def connection(
    description: dict[str, Any], *messages: Any, per_second: float | None = None, **keys: str
) -> GenericConnection:
    assert list(Generic().check_description(description)) == []
    return Generic().described(description)(keys, {"messages": list(messages)}, Terms(commands_per_second=per_second))


def texts(*messages: Any) -> list[bytes]:
    return [(each if isinstance(each, str) else json.dumps(each)).encode() for each in messages]


class Run:
    """A connection whose ticks come when they are due, as the connector has them come."""

    def __init__(self, exchange: GenericConnection) -> None:
        self.exchange = exchange
        self.now = NOW
        exchange.opening("wss://host/ws", NOW)
        self.sent = [(0, command) for command in exchange.commands()]
        self.next = self._next()
        self.failure: Exception | None = None

    def _next(self) -> float:
        return float("inf") if self.exchange.tick_seconds is None else self.now + 1000 * self.exchange.tick_seconds

    def _tick(self) -> None:
        turn = self.exchange.tick(int(self.now))
        self.sent += [(int(self.now) - NOW, command) for command in turn.commands]
        self.failure = self.failure or turn.failure

    def until(self, ms: int) -> None:
        while self.next <= NOW + ms:
            self.now = max(self.now, int(self.next))
            self._tick()
            self.next = self._next()
        self.now = NOW + ms

    def take(self, *messages: Any) -> Inspection:
        inspection = self.exchange.inspect(texts(*messages))
        self.failure = self.failure or inspection.failure
        if inspection.due:
            self._tick()
        return inspection

    def times(self, command: bytes) -> list[int]:
        return [at for at, sent in self.sent if sent == command]
