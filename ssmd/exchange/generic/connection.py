"""One connection: what is sent to the exchange, and what its messages mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ssmd.contracts.events import Asked, ChannelState
from ssmd.contracts.exchange import HttpRequest, Inspection, Opening
from ssmd.errors import SsmdError
from ssmd.exchange.generic.description import Description
from ssmd.exchange.generic.inspector import GenericInspector

__all__ = ["GenericConnection"]


class GenericConnection(GenericInspector):
    """Follows one connection, live.

    `keys`: the values of the key fields by name. `subscribe`: the environment's section.
    """

    tick_seconds: float | None = None

    def __init__(
        self, description: Description, keys: Mapping[str, str], subscribe: Any, commands_per_second: float | None
    ) -> None:
        super().__init__(description)
        messages = subscribe.get("messages", [])
        self._commands = [json.dumps(message, separators=(",", ":")).encode() for message in messages]

    def prepare(self, now_ms: int) -> HttpRequest | None:
        return None

    def prepared(self, answer: bytes) -> None:
        pass

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return Opening(endpoint)

    def commands(self) -> Sequence[bytes]:
        return self._commands

    def unsent(self) -> int:
        return 0

    def asked(self) -> Sequence[Asked]:
        return ()

    def tick(self, now_ms: int) -> Inspection:
        return Inspection(decoded=True)

    def unacknowledged(self) -> Sequence[str]:
        return ()

    def channels(self) -> Sequence[ChannelState]:
        return ()

    def unheard(self, channel: str) -> Sequence[str]:
        return ()

    def unconfirmed(self, channel: str) -> Sequence[str]:
        return ()

    def expects_text(self, payload: bytes) -> bool:
        return False

    def closed(self, code: int | None, reason: str) -> SsmdError | None:
        return None
