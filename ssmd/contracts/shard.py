"""Which part of a feed's markets a process collects, when several processes share them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

__all__ = ["WHOLE", "Shard"]


@dataclass(frozen=True)
class Shard:
    """One of `of` shards, counted from 1."""

    index: int = 1
    of: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether there are no other shards."""
        return self.of == 1

    @property
    def is_first(self) -> bool:
        """Whether it collects what cannot be divided: channels that take no list of markets."""
        return self.index == 1

    @property
    def label(self) -> str:
        """Return it for a metric's label: `2of4`, or the empty text for the whole."""
        return "" if self.is_whole else f"{self.index}of{self.of}"

    def takes(self, market: str) -> bool:
        """Return whether this shard collects a market.

        Each market goes to the shard with the highest hash of both names (rendezvous hashing). So when another shard is
        added, markets move only to that one, and nothing else changes for the others.
        """
        return self.is_whole or max(range(1, self.of + 1), key=lambda index: _weight(market, index)) == self.index

    def stem(self, feed: str) -> str:
        """Return how the names of the shard's files begin: `feed+2of4`, or the feed's name for the whole."""
        return feed if self.is_whole else f"{feed}+{self.label}"


WHOLE = Shard()
"""All markets, in one process."""


def _weight(market: str, index: int) -> bytes:
    return blake2b(f"{index}/{market}".encode(), digest_size=8).digest()
