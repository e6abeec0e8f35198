"""The contract of a transport, which hands recorded messages on to other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ssmd.contracts.companion import Companion
from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Sink

__all__ = ["Transport"]


class Transport(Protocol):
    """Hands on what is on the disk, in a process of its own: nothing that it does can hold up the collection.

    A class in the catalog has a `Config`, a metadata Model of the environment's `transport` section, and is made as
    `cls(config, environment, config_dir)`: the names of the environment and of its metadata tree, for a command line.
    Neither the class nor its module imports the library of an engine: only open() does.
    """

    def companions(self, shard: Shard) -> Sequence[Companion]:
        """The processes that hand on the messages of a shard, in the order in which they start."""

    def open(self, feed: str, shard: Shard, keys: Mapping[str, str]) -> Sink | None:
        """Connect to the engine, and return the sink for a feed or shard; None where nothing is handed on.

        `keys`: the fields of the engine's keys. Raises EngineError, and ConfigError when its library is not installed.
        """
