"""The transport `memory`, the default: nothing is handed on. Messages go to the writer through the process's memory."""

from __future__ import annotations

from dataclasses import dataclass

from ssmd.metadata.fields import Model, Text

__all__ = ["MemoryTransport"]


@dataclass(frozen=True, kw_only=True)
class MemoryTransport(Model):
    """It has nothing to configure."""

    type: Text
