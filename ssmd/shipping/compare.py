"""Compares an engine's copy of a feed with what is recorded, message for message."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ssmd.contracts.sink import Block, Copied, Position
from ssmd.reading.follow import SYNC_SECONDS, Follower
from ssmd.reading.pieces import span
from ssmd.shipping.differences import CHANGED, DOUBLED, FOREIGN, MISNAMED, MISSING, MOVED, Compared, Key
from ssmd.shipping.ranges import LineRanges
from ssmd.store.head import TS

__all__ = ["compare"]

_WINDOW = 10_000
"""How many lines further on, and further back, a message is looked for that has no number of a line with it."""
_BLOCK_LINES = 1000
_BLOCK_BYTES = 4 * 1024 * 1024


class _Line(NamedTuple):
    """A recorded line."""

    key: Key
    digest: int
    """A hash of its time and its message."""
    name: str
    """Under what the engine should keep it."""


def compare(
    follower: Follower,
    copies: Iterable[Copied],
    names: Callable[[Block], Sequence[str]],
    until: Position | None,
    oldest: str,
    *,
    numbers: bool,
    progress: Callable[[int], object] = lambda left: None,
) -> Compared:
    """Compare the messages of a copy, which may begin anywhere, with what a follower hands out.

    `names`: Sink.names(). `until`: up to where the engine must have them; when it is None, what is missing at the end
    does not show. `oldest`: the oldest day that is here. `numbers`: as in the sink's Traits. `progress` is called
    with how many bytes of recorded lines are left. Raises DataError and EngineError.
    """
    result = Compared()
    rest = iter(copies)
    for first in rest:
        result.messages += 1
        if first.day < oldest:
            result.older += 1
            continue
        lines = _recorded(follower, (first.day, first.line), names, progress)
        comparison = (_ByNumber if numbers else _ByContent)(lines, result)
        comparison.take(first)
        for copied in rest:
            result.messages += 1
            comparison.take(copied)
        comparison.end(("", 0) if until is None else (until.day, until.line))
    result.differences.sort(key=lambda one: one[:3])
    return result


def _recorded(
    follower: Follower, begin: Key, names: Callable[[Block], Sequence[str]], progress: Callable[[int], object]
) -> Iterator[_Line | None]:
    """Yield the recorded lines from one on, and None whenever there is no more so far."""
    follower.begin(None, begin[0])
    left = follower.lag()[0]
    while True:
        block = follower.read(_BLOCK_LINES, _BLOCK_BYTES)
        if block is None:
            yield None
            continue
        left -= span(block)
        progress(max(0, left))
        day, before = block.start.day, block.start.line
        messages = zip(block.lines, block.payloads, names(block), strict=True)
        for number, (line, payload, name) in enumerate(messages, before + 1):
            if (day, number) >= begin:
                yield _Line((day, number), _digest(line[TS].decode("ascii"), payload), name)


def _digest(ts: str, payload: bytes) -> int:
    return hash((ts, payload))


class _Comparison(ABC):
    """Goes through the recorded lines, of which it knows some that come next."""

    window: int
    """How many of them."""
    by_content = False
    """Whether it also knows their digests."""

    def __init__(self, lines: Iterator[_Line | None], result: Compared) -> None:
        self._lines = lines
        self._is_end = False
        self._result = result
        self._ahead: deque[_Line] = deque()
        self._digests: Counter[int] = Counter()
        self._passed = LineRanges()
        """The recorded lines up to here."""
        self._missing = LineRanges()
        """Those of them that have not come."""
        self._fill()
        first = self.next()
        result.first = first.key if first is not None else None

    def _fill(self) -> None:
        """Read the lines that are there; a collector may be writing more."""
        while len(self._ahead) < self.window and (line := next(self._lines)) is not None:
            self._ahead.append(line)
            if self.by_content:
                self._digests[line.digest] += 1

    def wait(self) -> bool:
        """Wait until what is there now can be synced and read; return whether there was more. Everything in the copy
        was recorded before it was copied, so once is enough.
        """
        if not self._is_end and len(self._ahead) < self.window:
            before = len(self._ahead)
            time.sleep(SYNC_SECONDS)
            self._fill()
            self._is_end = len(self._ahead) == before
            return not self._is_end
        return False

    def next(self) -> _Line | None:
        """Return the line that should come next; None at the end."""
        return self._ahead[0] if self._ahead or self.wait() else None

    def go_on(self) -> _Line:
        """Go on to the line after that; return the line that was next."""
        line = self._ahead.popleft()
        self._result.last = line.key
        self._passed.add(*line.key)
        if self.by_content:
            self._digests[line.digest] -= 1
            if not self._digests[line.digest]:
                del self._digests[line.digest]
        self._fill()
        return line

    def pass_over(self) -> _Line:
        """Go on, and take the line that was next for missing."""
        line = self.go_on()
        self._missing.add(*line.key)
        return line

    @abstractmethod
    def take(self, copied: Copied) -> None:
        """Take the next message of the copy."""

    def end(self, until: Key) -> None:
        """Take the end of the copy, which should have all lines up to one."""
        while (line := self.next()) is not None and line.key <= until:
            self.pass_over()
        self._result.rest = line.key if line is not None else None
        for day, first, last in self._missing:
            self._result.add(MISSING, (day, first), "", last)


class _ByNumber(_Comparison):
    """For messages that have the number of their line with them."""

    window = 1

    def take(self, copied: Copied) -> None:
        key = copied.day, copied.line
        while (line := self.next()) is not None and line.key < key:
            self.pass_over()
        if line is None or line.key > key:
            self._result.add(self._out_of_place(key), key, copied.where)
            return
        if line.digest != _digest(copied.ts, copied.payload):
            self._result.add(CHANGED, key, copied.where)
        elif line.name != copied.name:
            self._result.add(MISNAMED, key, f"{copied.where}: {copied.name}, and not {line.name}")
        self.go_on()

    def _out_of_place(self, key: Key) -> str:
        """Return what is wrong with a message whose line does not come next."""
        if self._missing.discard(*key):
            return MOVED
        if key in self._passed:
            return DOUBLED
        # The copy began with a later one, or there is no such line.
        return MOVED if self._result.first is not None and key < self._result.first else FOREIGN


class _ByContent(_Comparison):
    """For messages of which only the content is known: one that is at another place than it should be is looked for
    among the lines around it.
    """

    window = _WINDOW
    by_content = True

    def __init__(self, lines: Iterator[_Line | None], result: Compared) -> None:
        super().__init__(lines, result)
        self._came = _Last()
        self._gone = _Last()
        self._changed = _Last()

    def take(self, copied: Copied, may_wait: bool = True) -> None:
        digest = _digest(copied.ts, copied.payload)
        line = self.next()
        if digest in self._digests:
            while line is not None and line.digest != digest:
                self._gone.add(self.pass_over())
                line = self.next()
            self._came.add(self.go_on())
        elif digest in self._gone:
            self._missing.discard(*self._gone[digest])
            self._result.add(MOVED, self._gone.pop(digest), copied.where)
        elif digest in self._changed:
            self._result.is_foreign(self._changed.pop(digest))
        elif digest in self._came:
            self._result.add(DOUBLED, self._came[digest], copied.where)
        elif may_wait and self.wait():
            self.take(copied, may_wait=False)
        elif line is not None:
            self._result.add(CHANGED, line.key, copied.where)
            self._changed.add(self.go_on())
        else:
            self._result.add(FOREIGN, (copied.day, copied.line), copied.where)


class _Last(OrderedDict[int, Key]):
    """Lines by their digests; the last ones only."""

    def add(self, line: _Line) -> None:
        self[line.digest] = line.key
        if len(self) > _WINDOW:
            self.popitem(last=False)
