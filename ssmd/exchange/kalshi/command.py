"""One `subscribe` command of a connection to Kalshi, and the ids of all its commands. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.exchange.kalshi.channels import NAMED_BY
from ssmd.exchange.kalshi.section import markets_of

__all__ = ["Command", "CommandIds"]


class CommandIds:
    """Gives each command of a connection an id of its own. `next`: the id of the next command."""

    def __init__(self, first: int = 1) -> None:
        self.next = first

    def take(self) -> int:
        self.next += 1
        return self.next - 1


class Command(NamedTuple):
    """One `subscribe` command."""

    id: int
    subscription: int
    """Its place in the environment's `subscribe` list, from 1."""
    params: Mapping[str, Any]

    def encode(self) -> bytes:
        command = {"id": self.id, "cmd": "subscribe", "params": self.params}
        return json.dumps(command, separators=(",", ":")).encode()

    def markets(self, channel: str) -> Sequence[str]:
        """Return the markets that it names for a channel; none when it asks for all."""
        named = markets_of(self.params, channel)
        return () if named is None else named[1]

    def without_markets(self) -> dict[str, Any]:
        """Return it as a JSON object without its list of markets, which an Asked has beside it."""
        params = {name: value for name, value in self.params.items() if name not in NAMED_BY}
        return {"id": self.id, "cmd": "subscribe", "params": params}
