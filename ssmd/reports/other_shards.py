"""The other shards of a feed today, from their ledgers in the same folder: what the live page shows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ssmd.contracts.shard import Shard
from ssmd.contracts.strip import ShardToday
from ssmd.reports.strips import last_line_ns, of_entries
from ssmd.store.layout import data_path, ledger_path
from ssmd.store.ledger_file import readable_entries
from ssmd.store.locks import is_locked
from ssmd.store.sessions import sessions
from ssmd.store.timestamps import day_of_ns

__all__ = ["MOST_SHARDS_READ", "OtherShards"]

MOST_SHARDS_READ = 16
"""The ledgers of at most so many other shards are read, those with the lowest numbers: a feed may have hundreds."""


class OtherShards:
    """Reads the ledgers of today of a feed's other shards. `clock`: returns ns since the epoch."""

    def __init__(self, storage: Path, feed: str, shard: Shard, clock: Callable[[], int]) -> None:
        self._storage = storage
        self._feed = feed
        others = [Shard(index, shard.of) for index in range(1, shard.of + 1) if index != shard.index]
        self._others = others[:MOST_SHARDS_READ]
        self._clock = clock

    def read(self) -> Sequence[ShardToday]:
        """Return the other shards as of now. It may be called in a thread. Raises OSError."""
        now_ns = self._clock()
        return [self._read(shard, day_of_ns(now_ns), now_ns) for shard in self._others]

    def _read(self, shard: Shard, day: str, now_ns: int) -> ShardToday:
        folder, stem = self._storage / day, shard.stem(self._feed)
        entries = readable_entries(ledger_path(folder, stem)).outline()
        if not entries:
            return ShardToday(shard, None, is_connected=False, read_ns=now_ns)
        found = sessions(entries)
        # A run that was killed has left no end of its connection either, but holds no lock.
        is_open = bool(found) and found[-1].ended is None and found[-1].next is None
        data = data_path(folder, stem)
        is_connected = is_open and is_locked(data)
        last_ns = 0 if is_connected else last_line_ns(data, entries)
        strip = of_entries(day, entries, now_ns, is_connected=is_connected, last_line_ns=last_ns)
        return ShardToday(shard, strip, is_connected, now_ns)
