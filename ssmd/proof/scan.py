"""Takes a day's lines apart and checks them: times, feed, checksums and places. Pure."""

from __future__ import annotations

import bisect
import operator
from collections import Counter
from collections.abc import Iterable

from ssmd.proof.peak import PeakSecond
from ssmd.store.head import ENCODED_ENDS, HOUR, OPENING, TS, heads_of_one_shape, received_ns, split
from ssmd.store.json_limits import is_utf8
from ssmd.store.ledger import Entry
from ssmd.store.line import decode_line
from ssmd.store.sums import BlockSums
from ssmd.store.timestamps import parse_timestamp

__all__ = ["MOST_FINDINGS", "Scan"]

MOST_FINDINGS = 20
"""How many lines that are wrong in the same way are named; the rest are counted."""

_NOT_A_LINE = "is not a line of ssmd"
_OTHER_FEED = "belongs to another feed"
_OTHER_DAY = "belongs to another day"
_OLDER = "is older than the line before it"

_OF_DAY = slice(HOUR.stop - 2, HOUR.stop)
"""The hour of the day in a line."""
_LAST, _LAST_BUT_ONE = operator.itemgetter(-2), operator.itemgetter(-3)
"""The last characters of a line before its newline."""


class Scan:
    """Checks the lines of a day: call take() with each block, then read() with each stretch of the lines it returns.

    `entries`: of the day's ledger, as Entries has them. Each one must point to the beginning of a line.
    """

    def __init__(self, feed: str, day: str, entries: Iterable[Entry] = ()) -> None:
        self._feed = feed
        self._opening = OPENING + day.encode("ascii") + b"T"
        self._after_ts = b'","feed":"%b","data":' % feed.encode("ascii")
        self._head = TS.stop + len(self._after_ts)
        self._has_digit = any(chr(byte).isdigit() for byte in self._after_ts)
        self._entries = iter(entries)
        self._entry = next(self._entries, None)
        self._line = self._size = 0
        self._previous = b""
        self._special = False
        self.unchecked = False
        """Whether read() has not checked that the messages it returned last are valid JSON."""
        self.misplaced: Entry | None = None
        """The first of `entries` that does not point to where its line begins, or to the end of the lines."""
        self.sums = BlockSums()
        self.hours = [0] * 24
        """How many lines were received in each hour of the day."""
        self.peak = PeakSecond()
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.not_json = 0
        self.findings: list[tuple[int, str]] = []
        """The first lines that are wrong in each way: the number of the line, from 1, and what is wrong."""
        self._kinds: Counter[str] = Counter()
        self._look_for_entries([], 0)

    def new_run(self) -> None:
        """Begin another run, whose clock may have been set differently."""
        self._previous = b""

    def take(self, block: bytes) -> list[bytes]:
        """Return the lines of a block, each with its newline."""
        lines = split(block)
        self._look_for_entries(lines, self._size + len(block))
        self._special = not is_utf8(block)
        self._line += len(lines)
        self._size += len(block)
        self.sums.take(lines)
        return lines

    def _look_for_entries(self, lines: list[bytes], end: int) -> None:
        """Check the places of the entries up to the offset `end`, where these lines end.

        No entry has a smaller offset than the one before it.
        """
        place, offset = 0, self._size
        while (entry := self._entry) is not None and entry.offset <= end:
            before = entry.line - self._line
            offset += sum(map(len, lines[place:before]))
            if not place <= before <= len(lines) or entry.offset != offset:
                self.misplaced, self._entry = entry, None
                return
            place = before
            self._entry = next(self._entries, None)

    def read(self, lines: list[bytes], before: int) -> tuple[list[bytes], int, int]:
        """Return the messages of lines that have `before` lines before them, `before`, and the last line's time in ns.

        The message of a line that ssmd did not write is empty.
        """
        payloads = None if self._special else self._fast(lines)
        self.unchecked = payloads is not None
        if payloads is None:
            payloads = self._one_by_one(lines, before)
        last = self._previous[TS].decode("ascii", "replace")
        return payloads, before, parse_timestamp(last) if last else 0

    def _fast(self, lines: list[bytes]) -> list[bytes] | None:
        """Return the messages if all lines are plain ones of this feed and day, in the order of time; else None."""
        size = self._head
        # Nearly always all messages are objects. Their heads, up to the brace, then show that none is a string.
        are_objects = (heads := heads_of_one_shape(lines, size + 1)) is not None
        heads = heads or heads_of_one_shape(lines, size)
        if heads is None:
            return None
        first, last = heads[0], heads[-1]
        # They are in order. So when the first and the last are of this day, all are.
        if first < self._previous or heads != sorted(heads):
            return None
        if not (first.startswith(self._opening) and last.startswith(self._opening)):
            return None
        # Heads of one shape may still differ in the digits of the feed's name.
        after_ts = operator.itemgetter(slice(TS.stop, size))
        names = set(map(after_ts, heads)) if self._has_digit else {after_ts(first)}
        if names != {self._after_ts}:
            return None
        # Each line must close its object. A message that ends in a quote may be one that was kept as a string.
        if bytes(map(_LAST, lines)).strip(b"}"):
            return None
        if not are_objects and b'"' in bytes(map(_LAST_BUT_ONE, lines)):
            return None
        try:
            first_ns, self.last_ns = received_ns(first), received_ns(last)
        except ValueError:
            return None
        self._count_hours(heads)
        self.peak.take(heads)
        if self.first_ns is None:
            self.first_ns = first_ns
        self._previous = last[:size]
        return list(map(operator.itemgetter(slice(size, -2)), lines))

    def _count_hours(self, heads: list[bytes]) -> None:
        """Count the lines of each hour; they are in the order of time."""
        begin = 0
        while begin < len(heads):
            hour = heads[begin][: HOUR.stop]
            end = bisect.bisect_right(heads, hour + b"~", begin)
            self.hours[int(hour[_OF_DAY])] += end - begin
            begin = end

    def _one_by_one(self, lines: list[bytes], before: int) -> list[bytes]:
        """Return the messages, checking each line by itself."""
        payloads = []
        for number, line in enumerate(lines, before + 1):
            try:
                record = decode_line(line)
            except ValueError:
                self._find(number, _NOT_A_LINE)
                payloads.append(b"")
                continue
            payloads.append(record.payload)
            self.not_json += line[self._head : self._head + 1] == b'"' and line.endswith(ENCODED_ENDS)
            if record.feed != self._feed:
                self._find(number, _OTHER_FEED, f"belongs to the feed {record.feed}")
            if not line.startswith(self._opening):
                self._find(number, _OTHER_DAY, f"{_OTHER_DAY}: {line[TS].decode('ascii')}")
            if line[: TS.stop] < self._previous[: TS.stop]:
                self._find(number, _OLDER, f"{_OLDER}: {line[TS].decode('ascii')}")
            self._previous = line[: TS.stop]
            self.hours[int(line[_OF_DAY])] += 1
            self.peak.take((line,))
            self.first_ns = record.received_ns if self.first_ns is None else self.first_ns
            self.last_ns = record.received_ns
        return payloads

    def _find(self, number: int, kind: str, text: str = "") -> None:
        self._kinds[kind] += 1
        if self._kinds[kind] <= MOST_FINDINGS:
            self.findings.append((number, text or kind))

    def unnamed(self) -> list[str]:
        """Return how many more lines than `findings` names are wrong, in each way."""
        more = {kind: count - MOST_FINDINGS for kind, count in self._kinds.items()}
        return [f"and {count:,} more lines, each of which {kind}" for kind, count in more.items() if count > 0]

    def check_json(self, lines: list[bytes], before: int) -> None:
        """Find the lines whose message is not valid."""
        for number, line in enumerate(lines, before + 1):
            try:
                decode_line(line)
            except ValueError:
                self._find(number, _NOT_A_LINE)
