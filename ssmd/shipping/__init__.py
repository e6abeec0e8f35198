"""Transports, which hand recorded messages on to other programs: the sinks of ssmd.

A new one is one file here, with a class that keeps the Transport contract of contracts/transport.py, and one line in
this catalog. Its key is the environment's `transport.type`. It declares a companion, an ssmd command that reads what is
on the disk and sends it; a new command is one file in commands/.
"""

from __future__ import annotations

from typing import Any

from ssmd.catalog import Catalog
from ssmd.shipping.transport import EngineTransport

__all__ = ["TRANSPORTS", "engine_of"]

TRANSPORTS = Catalog(
    {
        "file": "ssmd.shipping.file.transport:File",
        "kafka": "ssmd.shipping.kafka.transport:Kafka",
        "memory": "ssmd.shipping.memory:Memory",
        "mqtt": "ssmd.shipping.mqtt.transport:Mqtt",
        "nats": "ssmd.shipping.nats.transport:Nats",
    }
)


def engine_of(name: str) -> type[EngineTransport] | None:
    """Return the transport of that name if it has an engine, to which `ssmd ship` ships; else None."""
    part: type[Any] = TRANSPORTS[name]
    return part if issubclass(part, EngineTransport) else None
