"""Selects lines by time, type and market, a block of lines at a time. Pure.

A whole block is decoded at once, by a decoder that skips all fields but the few that are needed. That also proves that
each line is whole. Only a block for which this fails is checked line by line.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from ssmd.errors import UsageError, visible
from ssmd.store.head import DATA, HOUR, TIME, heads_of_one_shape, split
from ssmd.store.json_limits import is_utf8
from ssmd.store.line import decode_line
from ssmd.store.timestamps import parse_timestamp

__all__ = ["ALL", "Seen", "Selected", "Selection", "instant", "look_at"]

_hour = operator.itemgetter(HOUR)


class _Msg(msgspec.Struct, gc=False):
    market_ticker: str | float | bool | None = None


class _Data(msgspec.Struct, gc=False):
    type: str | float | bool | None = None
    msg: _Msg | str | float | bool | list[msgspec.Raw] | None = None


class _Line(msgspec.Struct, gc=False):
    data: _Data | str | float | bool | list[msgspec.Raw] | None


_decoder = msgspec.json.Decoder(_Line)


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
    """Wanted values of a message's `type`; empty for all."""
    markets: frozenset[str] = frozenset()
    """Wanted values of `msg.market_ticker`; empty for all."""

    @property
    def by_time(self) -> bool:
        """Whether times are limited at all."""
        return self.begin != b"" or self.end != b"~"

    def may_hold(self, day: str) -> bool:
        """Return whether the file of a day, YYYY-MM-DD, may hold wanted lines; an empty `day` is unknown, and may."""
        if not day:
            return True
        name = day.encode("ascii")
        return self.begin[:10] <= name and name + b"T00:00:00.000000" < self.end

    def apply(self, block: bytes) -> Selected:
        """Return the wanted lines of a block of whole lines, each ending in a newline."""
        decoded = _proved(block)
        if decoded is None:
            return self._one_by_one(split(block))
        if not (self.by_time or self.types or self.markets):
            return Selected(block, len(decoded), ())
        lines = split(block)
        if self.types or self.markets:
            lines = self._about(lines, decoded)
        if self.by_time:
            begin, end = self.begin, self.end
            lines = [line for line in lines if begin <= line[TIME] < end]
        return Selected(block if len(lines) == len(decoded) else b"".join(lines), len(decoded), ())

    def _about(self, lines: list[bytes], decoded: list[_Line]) -> list[bytes]:
        """Return the lines of the wanted types and markets."""
        types: frozenset[object] = self.types
        markets: frozenset[object] = self.markets
        try:
            # Nearly all messages are objects with a `msg`; any other raises AttributeError.
            if not markets:
                return [line for line, found in zip(lines, decoded, strict=True) if found.data.type in types]  # type: ignore[union-attr]
            return [
                line
                for line, found in zip(lines, decoded, strict=True)
                if found.data.msg.market_ticker in markets and (not types or found.data.type in types)  # type: ignore[union-attr]
            ]
        except AttributeError:
            return [line for line, found in zip(lines, decoded, strict=True) if self._is_about(found)]

    def _is_about(self, line: _Line) -> bool:
        data = line.data
        if not isinstance(data, _Data) or (self.types and data.type not in self.types):
            return False
        return not self.markets or (isinstance(data.msg, _Msg) and data.msg.market_ticker in self.markets)

    def _one_by_one(self, lines: list[bytes]) -> Selected:
        wanted: list[bytes] = []
        damaged: list[int] = []
        for number, line in enumerate(lines):
            try:
                decode_line(line)
            except ValueError:
                damaged.append(number)
                continue
            if self.begin <= line[TIME] < self.end and (not (self.types or self.markets) or self._has_wanted(line)):
                wanted.append(line)
        return Selected(b"".join(wanted), len(lines), damaged)

    def _has_wanted(self, line: bytes) -> bool:
        """Return whether a line has a wanted type and market."""
        data = json.loads(line)["data"]
        if not isinstance(data, dict):
            return False
        kind, msg = data.get("type"), data.get("msg")
        ticker = msg.get("market_ticker") if isinstance(msg, dict) else None
        return all(
            not wanted or (isinstance(value, str) and value in wanted)
            for value, wanted in ((kind, self.types), (ticker, self.markets))
        )


ALL = Selection()


class Seen(NamedTuple):
    """What some messages have of the fields that a selection looks at."""

    messages: int
    types: Sequence[str]
    """The values of `type`, the most frequent first."""
    markets: Sequence[str]
    """The values of `msg.market_ticker`, the most frequent first."""


def look_at(blocks: Iterable[bytes]) -> Seen:
    """Return what the messages of blocks of whole lines have; a line that cannot be decoded counts as one without."""
    count = 0
    types: Counter[str] = Counter()
    markets: Counter[str] = Counter()
    for line in itertools.chain.from_iterable(map(split, blocks)):
        count += 1
        with contextlib.suppress(ValueError, RecursionError):
            data = _decoder.decode(line).data
            if isinstance(data, _Data):
                types.update([data.type] if isinstance(data.type, str) else ())
                ticker = data.msg.market_ticker if isinstance(data.msg, _Msg) else None
                markets.update([ticker] if isinstance(ticker, str) else ())
    return Seen(count, [name for name, _ in types.most_common()], [name for name, _ in markets.most_common()])


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


def _proved(block: bytes) -> list[_Line] | None:
    """Return the decoded lines of a block when all of them are proved to be lines of ssmd, else None.

    A JSON document holds newlines only between its tokens. So when there are as many documents as lines, and each line
    begins like one of ssmd, then each line is one document.
    """
    if not is_utf8(block):
        return None
    try:
        decoded = _decoder.decode_lines(block)
    except ValueError:
        return None
    lines = split(block)
    return decoded if 0 < len(decoded) == len(lines) and _are_lines_of_ssmd(lines) else None


def _are_lines_of_ssmd(lines: list[bytes]) -> bool:
    """Return whether all lines have heads of one shape with valid times, and every message can be recovered."""
    size = lines[0].find(DATA) + len(DATA)
    heads = heads_of_one_shape(lines, size)
    if heads is None:
        return False
    try:
        for hour in set(map(_hour, heads)):
            parse_timestamp(hour.decode("ascii") + ":00:00.000000Z")
        if b'"' in bytes(map(operator.itemgetter(size), lines)):
            for line in lines:
                if line.startswith(b'"', size):
                    decode_line(line)
    except ValueError:
        return False
    return True
