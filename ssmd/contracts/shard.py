"""Which part of a feed's markets a process collects, when several processes share them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

__all__ = ["LABEL", "MOST_SHARDS", "WHOLE", "Shard", "is_for", "parse_shard", "shard_of_label"]

MOST_SHARDS = 999

LABEL = r"[1-9][0-9]{0,2}of[1-9][0-9]{0,2}"
"""A regular expression for what looks like the label of a shard. shard_of_label() says whether it is one."""


@dataclass(frozen=True)
class Shard:
    """One of `of` shards, counted from 1. Sorts by `of`, then by `index`.

    Raises ValueError for numbers of which there is no shard.
    """

    index: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.of <= MOST_SHARDS:
            raise ValueError(f"there is no shard {self.index} of {self.of}; at most there are {MOST_SHARDS}")

    def __lt__(self, other: Shard) -> bool:
        return (self.of, self.index) < (other.of, other.index)

    def __str__(self) -> str:
        """Return it as the option `--shard` has it: `2/4`."""
        return f"{self.index}/{self.of}"

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


def is_for(left: Shard, shard: Shard) -> bool:
    """Return whether what a shard has left, perhaps of another number of shards, is for one of those that run now.

    The second of five takes what the second of four has left, which may be in a folder that only it has. What is left
    of shards that are no more is for the first.
    """
    return left.index == shard.index or (shard.is_first and left.index > shard.of)


def parse_shard(text: str) -> Shard:
    """Return the shard that a command line names, such as `2/4`. Raises ValueError, with what is wrong as a phrase."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
    if match is None:
        raise ValueError("must be the number of a shard and how many there are, such as 2/4")
    index, of = int(match[1]), int(match[2])
    if not 1 <= index <= of <= MOST_SHARDS:
        raise ValueError(f"must be a shard from 1/{of} to {of}/{of}" if 1 <= of <= MOST_SHARDS else _TOO_MANY)
    return Shard(index, of)


def shard_of_label(label: str) -> Shard | None:
    """Return the shard with a label such as `2of4`, WHOLE for the empty text, None for any other text.

    There is no label `1of1`: that is the whole.
    """
    if not label:
        return WHOLE
    if re.fullmatch(LABEL, label, re.ASCII) is None:
        return None
    index, of = map(int, label.split("of"))
    return Shard(index, of) if 1 <= index <= of and of > 1 else None


_TOO_MANY = f"must be one of 1 to {MOST_SHARDS} shards"


def _weight(market: str, index: int) -> bytes:
    return blake2b(f"{index}/{market}".encode(), digest_size=8).digest()
