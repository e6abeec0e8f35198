"""The transport `memory`: messages go from the reader to the writer through the queue of this process."""

from __future__ import annotations

from dataclasses import dataclass

from ssmd.metadata.fields import Model, Text

__all__ = ["MemoryTransport"]


@dataclass(frozen=True, kw_only=True)
class MemoryTransport(Model):
    """It has nothing to configure."""

    type: Text
