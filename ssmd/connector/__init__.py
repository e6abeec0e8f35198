"""The ways to an exchange.

A new one is one file here, with a class that keeps the Connector contract of runtime/interfaces.py and
takes the arguments of WebSocketConnector, and one line in this catalog. Its key is the feed's `type`.
"""

from __future__ import annotations

from collections.abc import Callable

from ssmd.connector.websocket import WebSocketConnector
from ssmd.runtime.interfaces import Connector

__all__ = ["CONNECTORS"]

CONNECTORS: dict[str, Callable[..., Connector]] = {
    "websocket": WebSocketConnector,
}
