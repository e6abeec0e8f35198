"""What the uploaders of a process work on: of each feed or shard, the days that are over, and the lines of today."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ssmd.contracts.shard import Shard
from ssmd.shipping.plan import DAY, LIVE
from ssmd.shipping.shards import Shards
from ssmd.store.layout import LISTING

__all__ = ["PARTS", "Part", "Parts"]

PARTS = (DAY, LIVE)


class Part(NamedTuple):
    """The work of one uploader."""

    feed: str
    shard: Shard
    part: str
    """DAY or LIVE."""

    @property
    def stem(self) -> str:
        return self.shard.stem(self.feed)

    @property
    def label(self) -> str:
        return f"{self.stem} {self.part}"


class Parts:
    """What there is to upload, asked again and again. What a feed keeps of its listings is uploaded too.

    `shard`: the only one; None for all that the storage has. `live`: whether lines of today are uploaded.
    """

    def __init__(self, storage: Path, feed: str, shard: Shard | None, *, live: bool) -> None:
        self._feeds = {name: Shards(storage, name) for name in (feed, f"{feed}{LISTING}")}
        self._shard = shard
        self._always = [] if shard is None else [(feed, shard)]
        self._parts = PARTS if live else (DAY,)

    def look(self) -> list[Part]:
        """Return all parts so far. Raises DataError when a folder cannot be read."""
        found = {(feed, shard) for feed, shards in self._feeds.items() for shard in shards.look()}
        wanted = {(feed, shard) for feed, shard in found if self._shard in (None, shard)}
        return [Part(feed, shard, part) for feed, shard in sorted(wanted.union(self._always)) for part in self._parts]
