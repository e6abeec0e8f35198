"""Transports: how the messages are handed on to other programs.

A new one is one file here, with the Model of its configuration, and one line in this catalog. Its key is the
environment's `transport.type`.
"""

from __future__ import annotations

from ssmd.metadata.fields import Model
from ssmd.shipping.memory import MemoryTransport

__all__ = ["TRANSPORTS"]

TRANSPORTS: dict[str, type[Model]] = {
    "memory": MemoryTransport,
}
