"""Connectors, the ways to an exchange.

A new one is one file here, with a class that keeps the Connector contract of contracts/connector.py, and one line in
this catalog. Its key is the feed's `type`.
"""

from __future__ import annotations

from typing import Any

from ssmd.connector.rest.connector import RestConnector
from ssmd.connector.websocket import WebSocketConnector

__all__ = ["CONNECTORS"]

CONNECTORS: dict[str, Any] = {
    "rest": RestConnector,
    "websocket": WebSocketConnector,
}
