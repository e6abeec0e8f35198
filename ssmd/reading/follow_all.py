"""Follows several feeds and shards of a storage folder at once, and merges their lines by time.

Of each feed the lines come in their order. Lines of several feeds are in order of time as far as they are there: nobody
waits for a line that may come later, so that a feed without messages delays no other.
"""

from __future__ import annotations

import operator
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, compress
from pathlib import Path
from typing import Any

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block
from ssmd.reading.follow import Follower
from ssmd.reading.selection import Selection
from ssmd.store.head import TIME, time_key
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile
from ssmd.store.timestamps import day_of_ns

__all__ = ["FollowAll"]

_LOOK_SECONDS = 1.0
"""How often feeds and shards are looked for that begin now."""
_MOST_LINES, _MOST_BYTES = 10_000, 1024 * 1024
"""The largest block that is read of each at once."""
_DAY_NS = 86_400_000_000_000


class FollowAll:
    """The lines that come from now on or, when the selection begins earlier, from there on.

    `storage`: the storage folder. `feed`, `shard`: None for all. `reader_of`: see Follower. `clock`: the wall clock, ns
    since the epoch. Raises what Follower raises, and UsageError when there is no such folder.
    """

    def __init__(
        self,
        storage: Path,
        feed: str | None,
        shard: Shard | None,
        selection: Selection,
        reader_of: Callable[[str, Mapping[str, Any]], MessageReader],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._storage = storage
        self._wanted = feed, shard
        self._selection = selection
        self._reader_of = reader_of
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        newest: dict[str, DayFile] = {}
        first: dict[str, str] = {}
        for file in data_files([storage], feed, shard):
            newest[file.stem] = file
            if selection.begin and selection.may_hold(file.day):
                first.setdefault(file.stem, file.day)
        for stem, file in newest.items():
            self._follow(file, first.get(stem) or self._start(file.day))
        self._next_look = 0.0

    def _start(self, newest: str) -> str:
        """Return where to begin behind all that there is. `newest`: the newest day with data."""
        # A day that is long over is not followed: nothing will be added to it, and its end would have to be found.
        return "now" if newest >= day_of_ns(self._clock() - _DAY_NS) and not self._selection.begin else "today"

    def _follow(self, file: DayFile, start: str) -> None:
        follower = Follower(self._storage, file.feed, file.shard, self._reader_of, self._clock)
        follower.begin(None, start)
        self._followed[file.stem] = _Followed(follower, self._selection)

    @property
    def stems(self) -> Sequence[str]:
        """The feeds and shards that are followed, as the names of their files."""
        return sorted(self._followed)

    def read(self, as_raw: bool = False) -> bytes:
        """Return the next wanted lines, or their messages, each followed by a newline. It never waits for lines, and
        returns nothing when there are none by now.
        """
        self._look()
        for one in self._followed.values():
            one.fill()
        waiting = [self._followed[stem] for stem in self.stems if self._followed[stem].times]
        if not waiting:
            return b""
        end = min(one.times[-1] for one in waiting)
        taken: list[tuple[bytes, bytes]] = []
        for one in waiting:
            taken += one.take(end, as_raw)
        if len(waiting) > 1:
            taken.sort(key=operator.itemgetter(0))
        return b"".join(text for _, text in taken)

    def _look(self) -> None:
        """Follow what has begun since the last look."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        today = self._storage / day_of_ns(self._clock())
        if today.is_dir():
            for file in data_files([today], *self._wanted):
                if file.stem not in self._followed:
                    self._follow(file, "today")

    def close(self) -> None:
        for one in self._followed.values():
            one.follower.close()


class _Followed:
    """One feed or shard, and its wanted lines that are not handed out yet."""

    def __init__(self, follower: Follower, selection: Selection) -> None:
        self.follower = follower
        self._selection = selection
        self.times: list[bytes] = []
        """Of the lines, never falling: where the clock was set back, a line counts as received when the one before
        was."""
        self._lines: list[tuple[bytes, bytes]] = []
        """Each line with its message."""

    def fill(self) -> None:
        """Read on, unless there are lines already."""
        while not self.times and (block := self.follower.read(_MOST_LINES, _MOST_BYTES)) is not None:
            self._lines = list(_wanted(block, self._selection))
            self.times = list(accumulate((time_key(line) for line, _ in self._lines), max))

    def take(self, end: bytes, as_raw: bool) -> list[tuple[bytes, bytes]]:
        """Return the lines up to a time, or their messages, each with its time."""
        count = bisect_right(self.times, end)
        texts = (payload + b"\n" if as_raw else line for line, payload in self._lines[:count])
        taken = list(zip(self.times[:count], texts, strict=True))
        self.times, self._lines = self.times[count:], self._lines[count:]
        return taken


def _wanted(block: Block, selection: Selection) -> Iterable[tuple[bytes, bytes]]:
    """Return the wanted lines of a block, each with its message."""
    found = zip(block.lines, block.payloads, strict=True)
    if not (selection.by_content or selection.by_time):
        return found
    return compress(
        found,
        (
            selection.begin <= line[TIME]
            and (not selection.types or found_type in selection.types)
            and (not selection.markets or market in selection.markets)
            for line, (found_type, market) in zip(block.lines, block.found, strict=True)
        ),
    )
