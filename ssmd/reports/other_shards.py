"""The other shards of a feed today, from their ledgers in the same folder: what the live page shows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmd.contracts.shard import Shard
from ssmd.contracts.strip import ShardToday
from ssmd.reports.strips import of_files
from ssmd.store.layout import data_path, ledger_path
from ssmd.store.ledger import Entry
from ssmd.store.ledger_file import readable_entries
from ssmd.store.locks import is_locked
from ssmd.store.sessions import sessions
from ssmd.store.timestamps import day_of_ns

__all__ = ["MOST_SHARDS_READ", "OtherShards"]

MOST_SHARDS_READ = 16
"""The ledgers of at most so many other shards are read, those with the lowest numbers: a feed may have hundreds."""

_MOST_KEPT = 500
"""A ledger with more entries, as of a shard that starts again and again, is not kept in memory."""


class _Ledger(NamedTuple):
    """A ledger as it was read."""

    path: Path
    changed_ns: int
    size: int
    entries: Sequence[Entry]


class OtherShards:
    """Reads the ledgers of today of a feed's other shards. `clock`: returns ns since the epoch."""

    def __init__(self, storage: Path, feed: str, shard: Shard, clock: Callable[[], int]) -> None:
        self._storage = storage
        self._feed = feed
        others = [Shard(index, shard.of) for index in range(1, shard.of + 1) if index != shard.index]
        self._others = others[:MOST_SHARDS_READ]
        self._clock = clock
        self._known: dict[Shard, _Ledger] = {}

    def read(self) -> Sequence[ShardToday]:
        """Return the other shards as of now. It may be called in a thread. Raises OSError."""
        now_ns = self._clock()
        return [self._read(shard, day_of_ns(now_ns), now_ns) for shard in self._others]

    def _read(self, shard: Shard, day: str, now_ns: int) -> ShardToday:
        folder, stem = self._storage / day, shard.stem(self._feed)
        entries = self._entries(shard, ledger_path(folder, stem))
        if not entries:
            return ShardToday(shard, None, is_connected=False, read_ns=now_ns)
        found = sessions(entries)
        # A run that was killed has left no end of its connection either, but holds no lock.
        is_open = bool(found) and found[-1].ended is None and found[-1].next is None
        data = data_path(folder, stem)
        is_connected = is_open and is_locked(data)
        strip = of_files(day, data, entries, now_ns, is_connected=is_connected)
        return ShardToday(shard, strip, is_connected, now_ns)

    def _entries(self, shard: Shard, path: Path) -> Sequence[Entry]:
        """Return the entries of a ledger, in outline. It is read again when it has changed: a large one takes long."""
        try:
            found = path.stat()
        except OSError:
            return []
        known = self._known.get(shard)
        if known is not None and known[:3] == (path, found.st_mtime_ns, found.st_size):
            return known.entries
        entries = readable_entries(path).outline()
        self._known.pop(shard, None)
        if 0 < len(entries) <= _MOST_KEPT:  # None: perhaps the disk has failed just now.
            self._known[shard] = _Ledger(path, found.st_mtime_ns, found.st_size, entries)
        return entries
