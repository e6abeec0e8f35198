"""The contract of a transport, which hands recorded messages on to other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ssmd.contracts.companion import Companion
from ssmd.contracts.shard import Shard

__all__ = ["Transport"]


class Transport(Protocol):
    """Hands on what is on the disk, in a process of its own: nothing that it does can hold up the collection.

    A class in the catalog has a `Config`, a metadata Model of the environment's `transport` section, and is made as
    `cls(config, environment, config_dir)`: the names of the environment and of its metadata tree, for a command line.
    Neither the class nor its module imports the library of an engine. One that has an engine is a subclass of
    shipping.transport.EngineTransport, whose open() does that.
    """

    def companions(self, shard: Shard) -> Sequence[Companion]:
        """The processes that hand on the messages of a shard, in the order in which they start."""
