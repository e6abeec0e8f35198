"""Connectors, the ways to an exchange.

A new one is one file here, with a class that keeps the Connector contract of contracts/connector.py, and one line in
this catalog. Its key is the feed's `type`.
"""

from __future__ import annotations

from ssmd.catalog import Catalog

__all__ = ["CONNECTORS"]

CONNECTORS = Catalog(
    {
        "rest": "ssmd.connector.rest.connector:RestConnector",
        "websocket": "ssmd.connector.websocket:WebSocketConnector",
    }
)
