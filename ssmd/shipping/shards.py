"""Which shards of a feed a storage folder has data of, asked again and again while they are recorded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ssmd.contracts.shard import Shard, is_for
from ssmd.store.inventory import day_folders, looking
from ssmd.store.layout import read_name

__all__ = ["Shards"]


class Shards:
    """The shards of a feed; the feed as a whole is one, WHOLE."""

    def __init__(self, storage: Path, feed: str) -> None:
        self._storage = storage
        self._feed = feed
        self._newest = ""
        self._found: set[Shard] = set()

    def look(self) -> list[Shard]:
        """Return all shards found so far. After the first time only the newest days are looked at.

        Raises DataError when a folder cannot be read.
        """
        with looking(self._storage):
            folders = [folder for folder in day_folders(self._storage) if folder.name >= self._newest]
            for folder in folders:
                with suppress(FileNotFoundError):  # Old days may be moved away at any time.
                    self._look_in(folder)
        if folders:
            self._newest = folders[-1].name
        return sorted(self._found)

    def look_for(self, shard: Shard) -> list[Shard]:
        """Return a shard, and those of another number of shards of which it ships what is left."""
        return [shard, *(other for other in self.look() if other.of != shard.of and is_for(other, shard))]

    def _look_in(self, folder: Path) -> None:
        for path in folder.iterdir():
            file = read_name(path, folder.name)
            if file is not None and file.feed == self._feed:
                self._found.add(file.shard)
