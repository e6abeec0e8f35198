"""Selects lines by time, type and market, a block of lines at a time. Pure.

A whole block is decoded at once: by a decoder that skips everything or, when types or markets are wanted, by the reader
of the exchange's messages. That also proves that each line is whole. Only a block for which this fails is checked line
by line.
"""

from __future__ import annotations

import contextlib
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import compress
from typing import NamedTuple

from ssmd.contracts.exchange import Found, MessageReader
from ssmd.errors import UsageError, visible
from ssmd.reading.found import are_whole, found_in_line, found_in_lines
from ssmd.reading.stretches import Stretch
from ssmd.store.head import TIME, split
from ssmd.store.layout import DayFile

__all__ = ["ALL", "Seen", "Selected", "Selection", "instant", "look_at"]

_TYPE, _MARKET = operator.itemgetter(0), operator.itemgetter(1)


class Selected(NamedTuple):
    """The result of applying a selection to a block."""

    block: bytes
    """The wanted lines; empty when there are none."""
    lines: int
    """How many lines the block had, wanted or not."""
    damaged: Sequence[int]
    """Which of them, counted from 0, ssmd did not write; they are never wanted."""


class Selection(NamedTuple):
    """The lines that are wanted of each file; without arguments all of them."""

    begin: bytes = b""
    """The first time that is wanted, as instant() returns it; empty for no limit."""
    end: bytes = b"~"
    """The first time that is no longer wanted; `~` sorts after all digits."""
    types: frozenset[str] = frozenset()
    """Wanted types of messages; empty for all."""
    markets: frozenset[str] = frozenset()
    """Wanted markets; empty for all."""
    stretches: Callable[[DayFile], Sequence[Stretch]] = lambda file: ()
    """Returns what reads the types and markets of a file; called only when some are wanted."""

    @property
    def by_time(self) -> bool:
        """Whether times are limited at all."""
        return self.begin != b"" or self.end != b"~"

    @property
    def by_content(self) -> bool:
        """Whether types or markets are limited."""
        return bool(self.types or self.markets)

    def may_hold(self, day: str) -> bool:
        """Return whether the file of a day, YYYY-MM-DD, may hold wanted lines; an empty `day` is unknown, and may."""
        if not day:
            return True
        name = day.encode("ascii")
        return self.begin[:10] <= name and name + b"T00:00:00.000000" < self.end

    def apply(self, block: bytes, reader: MessageReader | None = None) -> Selected:
        """Return the wanted lines of a block of whole lines, each ending in a newline.

        `reader`: finds their types and markets; needed when some are wanted, and not used otherwise.
        """
        lines = split(block)
        count = len(lines)
        if not self.by_content:
            if not are_whole(block, lines):
                return self._one_by_one(lines, None)
        elif reader is None:
            raise ValueError("without a reader of the exchange's messages no type or market can be found")
        elif (found := found_in_lines(block, lines, reader)) is not None:
            lines = self._about(lines, found)
        else:
            return self._one_by_one(lines, reader)
        if self.by_time:
            begin, end = self.begin, self.end
            lines = [line for line in lines if begin <= line[TIME] < end]
        return Selected(block if len(lines) == count else b"".join(lines), count, ())

    def _about(self, lines: list[bytes], found: Sequence[Found]) -> list[bytes]:
        """Return the lines of the wanted types and markets."""
        if self.markets:
            wanted = list(map(self.markets.__contains__, map(_MARKET, found)))
            lines, found = list(compress(lines, wanted)), list(compress(found, wanted))
        if self.types:
            lines = list(compress(lines, map(self.types.__contains__, map(_TYPE, found))))
        return lines

    def _one_by_one(self, lines: list[bytes], reader: MessageReader | None) -> Selected:
        wanted: list[bytes] = []
        damaged: list[int] = []
        for number, line in enumerate(lines):
            try:
                found = found_in_line(line, reader)
            except ValueError:
                damaged.append(number)
                continue
            if self.begin <= line[TIME] < self.end and (reader is None or self._about([line], [found])):
                wanted.append(line)
        return Selected(b"".join(wanted), len(lines), damaged)


ALL = Selection()


class Values(NamedTuple):
    """What some messages have for an option that selects them."""

    fields: Sequence[str]
    """Where it was looked for, for people; empty when that is not known of any message."""
    names: Sequence[str]
    """What was there, the most frequent first."""


class Seen(NamedTuple):
    """What some messages have of the fields that a selection looks at."""

    messages: int
    types: Values
    markets: Values
    known: bool
    """Whether it is known where all these messages have their types and markets."""


def look_at(blocks: Iterable[tuple[bytes, Stretch]]) -> Seen:
    """Return what the messages of blocks of whole lines have; a line that cannot be read counts as one without."""
    count = 0
    known = True
    fields: list[dict[str, None]] = [{}, {}]
    names: list[Counter[str]] = [Counter(), Counter()]
    for block, stretch in blocks:
        known = known and stretch.known
        for place, field in enumerate((stretch.reader.type_field, stretch.reader.market_field)):
            fields[place] |= {field: None} if field else {}
        for line in split(block):
            count += 1
            with contextlib.suppress(ValueError):
                for place, value in enumerate(found_in_line(line, stretch.reader)):
                    names[place].update([value] if value else ())
    types, markets = (
        Values(list(fields[place]), [name for name, _ in names[place].most_common()]) for place in range(2)
    )
    return Seen(count, types, markets, known)


def instant(text: str, option: str) -> bytes:
    """Return a date, or a date and time, of ISO 8601 as it would be written in `ts`, without the Z.

    It is UTC unless the text names another zone. Raises UsageError, which names the option.
    """
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option} is '{visible(text)}'; it must be a time such as 2025-12-22 or 2025-12-22T10:30:00, in UTC"
        ) from None
    return when.replace(tzinfo=None).isoformat(timespec="microseconds").encode("ascii")
