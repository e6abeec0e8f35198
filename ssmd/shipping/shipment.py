"""What `ssmd ship` needs of an environment: plain data, which a process can use without the libraries of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssmd.metadata.keys import KeySpec
from ssmd.metadata.problem import Problem

__all__ = ["Shipment"]


@dataclass(frozen=True)
class Shipment:
    """From where an environment's messages are shipped, to which engine, and with which keys."""

    environment: str
    feed: str
    storage: Path
    config: Any
    """The configuration of the engine: the environment's `transport` section, or `storage` for a bucket."""
    keys: Mapping[str, KeySpec]
    """The environment's keys for this engine, by name."""
    places: Mapping[str, Problem]
    """By the name of a key, a problem with it that has no message yet."""
    warnings: tuple[Problem, ...]
    has_bucket: bool
    """Whether the storage has a bucket too."""

    @property
    def engine(self) -> str:
        """The name of the engine: the `type` of that section."""
        return str(self.config.type)
