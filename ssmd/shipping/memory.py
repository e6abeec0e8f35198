"""The transport `memory`, the default: nothing is handed on. Messages go to the writer through the process's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ssmd.contracts.companion import Companion
from ssmd.contracts.shard import Shard
from ssmd.metadata.fields import Model, Text

__all__ = ["Memory", "MemoryConfig"]


@dataclass(frozen=True, kw_only=True)
class MemoryConfig(Model):
    """It has nothing to configure."""

    type: Text = "memory"


class Memory:
    """Keeps the Transport contract of contracts/transport.py, and has no companion."""

    Config: ClassVar = MemoryConfig

    def __init__(self, config: MemoryConfig, environment: str, config_dir: str) -> None:
        pass

    def companions(self, shard: Shard) -> Sequence[Companion]:
        return ()
