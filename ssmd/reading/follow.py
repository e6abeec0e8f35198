"""Follows what is recorded of one feed or shard, from a position on: over midnight, restarts and compaction.

    follower = Follower(storage, "kalshi", WHOLE, reader_of)
    follower.begin(sink.resume(), "today")
    while True:
        block = follower.read(sink.most_lines, sink.most_bytes)
        sink.send(block) if block else time.sleep(POLL_SECONDS)

Every line is handed out once, in order, and only when it is durable: the follower syncs the data file itself.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block, End, Position
from ssmd.errors import EngineMismatch
from ssmd.reading.day_source import DaySource, open_day
from ssmd.reading.days import Days, note_network
from ssmd.reading.ledger_parts import LedgerParts, Part
from ssmd.reading.pieces import cut, joined, pieces, span
from ssmd.reading.position import end_at, first_position, require_line, require_position
from ssmd.reading.restored_days import end_of_copy
from ssmd.store.head import received_ns
from ssmd.store.layout import data_path, ledger_path
from ssmd.store.locks import is_locked
from ssmd.store.timestamps import day_begins

__all__ = ["POLL_SECONDS", "Follower"]

POLL_SECONDS = 0.01
"""How long to wait, after read() has returned None, before it is called again. Such a call takes some 20 us."""

SYNC_SECONDS = 0.05
"""The shortest time between two syncs: the collector syncs the file too. read() returns None until then."""
MOST_NAMED = 10
"""How many lines of a day that ssmd did not write are logged, each with its number."""
_CHUNK_BYTES = 256 * 1024
"""How much is read at once: it fits into a processor's cache, which makes it twice as fast as a megabyte."""

_log = logging.getLogger("ssmd.follow")


class Follower:
    """Hands out the lines of one feed or shard, block by block. It never waits for lines.

    `reader_of`: returns what finds types and markets, from the name of a dialect and its description; both are empty
    where no ledger says them. `clock`: the wall clock, ns since the epoch.

    All methods raise DataError when what is recorded cannot be read, or has changed as no program of ssmd changes it,
    and WriteError when a sync fails.
    """

    def __init__(
        self,
        storage: Path,
        feed: str,
        shard: Shard,
        reader_of: Callable[[str, Mapping[str, Any]], MessageReader],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._storage = storage
        self._stem = shard.stem(feed)
        self._reader_of = reader_of
        self._reader: tuple[Part, MessageReader] | None = None
        self._clock = clock
        self._days = Days(storage, self._stem, clock)
        self._parts = LedgerParts(Path())
        self._source: DaySource | None = None
        self._place = Position(feed, shard.label, "", 0, 0)
        """Up to where the source was read."""
        self._blocks: deque[Block] = deque()
        """What was read and is not handed out yet."""
        self._handed_out: Block | None = None
        self._next_sync = 0.0
        self._damaged_lines = 0
        """Of the day, and not written by ssmd."""
        self._later: str | None = None
        """A later day that has begun, so that this one is done when nothing more is in it."""

    def begin(self, position: Position | End | None, start: str = "today") -> Position:
        """Go to a position, and return it; without one, to where `start` says: see first_position().

        It may be called again at any time. Raises EngineMismatch for a position of another feed, for one where no line
        ends, and for the end of a copy where another line ends.
        """
        end = position if isinstance(position, End) else End(position or self.first(start))
        at = end.position
        if at[:2] != self._place[:2]:
            raise EngineMismatch(
                f"the engine has a position of feed {at.feed}{f' shard {at.shard}' if at.shard else ''}, and "
                f"{self._stem} is to be shipped; give each feed a stream, topic or prefix of its own"
            )
        note_network(self._storage)
        return end_of_copy(end, self._go_to, self._storage, self._stem)

    def first(self, start: str) -> Position:
        """Return the first place that is wanted by now."""
        return first_position(start, self._place, self._days, self._storage, self._stem)

    def _go_to(self, end: End) -> None:
        """Read from a place on. Raises EngineMismatch when no line ends there, or another one than that of a copy."""
        self.close()
        self._place = at = end.position
        self._later = self._handed_out = None
        self._next_sync = 0.0
        self._damaged_lines = 0
        folder = self._storage / at.day
        self._parts = LedgerParts(ledger_path(folder, self._stem))
        self._parts.update()
        self._source = open_day(folder, self._stem)
        require_position(at, self._source, self._parts, folder, self._stem)
        require_line(end, self._source)

    def read(self, most_lines: int, most_bytes: int) -> Block | None:
        """Return the next lines that are durable, one at least; None when there are none so far.

        `most_bytes`: the most bytes of payloads, unless the first message alone has more.
        """
        self._handed_out = None
        while not self._blocks:
            if not self._fill():
                return None
        found = [self._blocks.popleft()]
        lines, size = len(found[0].lines), span(found[0])
        while lines < most_lines and size < most_bytes and self._follows(found[-1]):
            found.append(self._blocks.popleft())
            lines += len(found[-1].lines)
            size += span(found[-1])
        self._handed_out, rest = cut(joined(found), most_lines, most_bytes)
        if rest is not None:
            self._blocks.appendleft(rest)
        return self._handed_out

    def _follows(self, block: Block) -> bool:
        """Return whether what comes next, and is durable already, belongs into one block with this one."""
        if not self._blocks and self._source is not None:
            self._take(self._source.read(self._place.offset, _CHUNK_BYTES))
        if not self._blocks or self._blocks[0].start != block.end:
            return False
        return self._parts.at(block.start.offset) == self._parts.at(block.end.offset)

    def _fill(self) -> bool:
        """Read some lines, or go on to where there may be some; return False when there is nothing to do now."""
        if self._source is None:
            return self._find()
        data = self._source.read(self._place.offset, _CHUNK_BYTES)
        if not data and self._source.look():
            if time.monotonic() < self._next_sync:
                return False
            self._next_sync = time.monotonic() + SYNC_SECONDS
            self._source.sync()
            data = self._source.read(self._place.offset, _CHUNK_BYTES)
        if not data:
            return self._turn(self._source)
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        """Make blocks of what was read at the place."""
        self._parts.update()
        self._blocks.extend(list(pieces(data, self._place, self._parts, self._reader_for, self._damaged)))
        offset, line = self._place.offset + len(data), self._place.line + data.count(b"\n")
        self._place = self._place._replace(offset=offset, line=line)

    def _reader_for(self, part: Part) -> MessageReader:
        if self._reader is None or part[2:] != self._reader[0][2:]:
            self._reader = part, self._reader_of(part.exchange, part.description)
        return self._reader[1]

    def _damaged(self, line: int) -> None:
        self._damaged_lines += 1
        if self._source is not None and self._damaged_lines <= MOST_NAMED:
            more = "; further ones of this day are not logged" if self._damaged_lines == MOST_NAMED else ""
            _log.warning(f"not a line of ssmd, left out{more}", extra={"file": str(self._source.path), "line": line})

    def _find(self) -> bool:
        """Open the day of the place, or the first one after it; return whether there is any."""
        if self._open() is not None:
            return True
        later = self._days.next(self._place.day)
        if later is not None:
            self._move(later)
        return later is not None

    def _open(self) -> DaySource | None:
        if self._source is None:
            self._source = open_day(self._storage / self._place.day, self._stem)
        return self._source

    def _turn(self, source: DaySource) -> bool:
        """Go on from the present end of a day; return whether there may be something to read."""
        if not source.is_current():
            end_of_copy(end_at(self._place, source), self._go_to, self._storage, self._stem)
            return True
        if self._later is None:
            self._later = self._days.next(self._place.day)
            return self._later is not None  # What was written before that day began is read first.
        if is_locked(source.path) and not is_locked(data_path(self._storage / self._later, self._stem)):
            # The clock was ahead once and is right again, so that the collector writes the earlier day. (It is not the
            # collector that holds it when that holds the later one, but `ssmd seal`.)
            self._later = None
            self._days.postpone()
            return False
        self._days.leave(self._place.day, self._place.offset)
        self._move(self._later)
        return True

    def _move(self, later: str) -> None:
        """Go on to a later day."""
        self._parts.update()
        end_ns = self._parts.last.ts_ns if self._parts.last is not None else None
        was_read = self._source is not None or self._place.offset > 0
        self._days.require_nothing_between(self._place.day, later, end_ns, was_read=was_read)
        self._go_to(End(self._place._replace(day=later, offset=0, line=0)))

    def lag(self) -> tuple[int, float]:
        """Return how far what was handed out is behind what is on the disk: bytes of lines, and the age of the oldest
        of these lines in seconds; both 0 when nothing is. What the last read() returned counts as behind until the
        next call: it may not have arrived yet.
        """
        waiting = [*([self._handed_out] if self._handed_out is not None else []), *self._blocks]
        size, first = sum(map(span, waiting)), waiting[0].lines[0] if waiting else b""
        source = self._open()
        if source is not None and (rest := source.bytes_after(self._place.offset)):
            size += rest
            first = first or source.peek(self._place.offset)
        for day, more in self._days.sizes_after(self._place.day):
            size += more
            first = first or f'{{"ts":"{day}T00:00:00.000000Z'.encode() if more else first
        if not size:
            return 0, 0.0
        try:
            return size, max(0.0, (self._clock() - received_ns(first)) / 1e9)
        except ValueError:  # A damaged line.
            return size, max(0.0, (self._clock() - day_begins(self._place.day)) / 1e9)

    def close(self) -> None:
        """Close the file. Idempotent; begin() may follow."""
        self._blocks.clear()
        if self._source is not None:
            self._source.close()
            self._source = None
