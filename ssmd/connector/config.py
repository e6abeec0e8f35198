"""The WebSocket connector's own configuration: fields of a feed's `versions[]` with the type `websocket`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from ssmd.connector.endpoint import endpoint_fault
from ssmd.metadata.fields import Fault, Model, Seconds, Text
from ssmd.metadata.markers import Within
from ssmd.store.line import LARGEST_MESSAGE

__all__ = ["WebSocketConfig"]


@dataclass(frozen=True, kw_only=True)
class WebSocketConfig(Model):
    """How a WebSocket is read."""

    endpoint: Text
    """A ws:// or wss:// URL."""
    idle_timeout_seconds: Seconds = 30.0
    """The longest silence after which the connection counts as dead. After half of it a ping is sent."""
    max_message_bytes: Annotated[int, Within(gt=0, le=LARGEST_MESSAGE)] = 16 << 20
    """A longer message ends the connection with close code 1009."""
    coalesce_seconds: Annotated[float, Within(ge=0, le=1)] = 0.0005
    """The longest pause before a read, in seconds, while messages come faster than this for longer than a short burst;
    0 for no pauses. Longer pauses cost less CPU, and make the times of messages later."""

    def faults(self) -> Iterator[Fault]:
        if fault := endpoint_fault(self.endpoint):
            yield ("endpoint",), fault
