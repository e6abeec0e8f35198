"""A day's lines, taken apart and checked: times, feed, checksums, and the messages in them."""

from __future__ import annotations

import itertools
import operator
import re
from collections import Counter
from collections.abc import Iterable

from ssmd.archive.sums import BlockSums
from ssmd.envelope import decode_line, line_time

__all__ = ["MOST_FINDINGS", "Scan"]

MOST_FINDINGS = 100
"""More single lines that are wrong are not named: the file is not what it should be."""

_OPENING = b'{"ts":"'
_TS = slice(len(_OPENING), len(_OPENING) + 27)
_SECOND = slice(_TS.start + 11, _TS.start + 20)
_MICROS = slice(_TS.start + 20, _TS.stop)
_CLOCK = re.compile(rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.")
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_ENCODED = b',"encoding":"'
_ENCODED_ENDS = (_ENCODED + b'text"}', _ENCODED + b'base64"}')


class Scan:
    """Call take() for each block, then read() for each stretch of the lines that it gives.

    `places`: numbers of lines whose byte offsets are asked for, by how many lines stand before.
    """

    def __init__(self, feed: str, day: str, places: Iterable[int]) -> None:
        self._feed = feed
        self._opening = _OPENING + day.encode("ascii") + b"T"
        self._after = b'","feed":"%b","data":' % feed.encode("ascii")
        self._head = len(_OPENING) + 27 + len(self._after)
        self._places = sorted(set(places), reverse=True)
        self._line = self._size = 0
        self._previous = b""
        self._special = False
        self.trusted = False
        """Whether what read() gave last still has to be checked for being valid JSON."""
        self.offsets: dict[int, int] = {}
        """By the lines before it, where a line of `places` begins, or would if there were one more."""
        self.sums = BlockSums()
        self.hours = [0] * 24
        """Lines by the hour they were received in."""
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self.not_json = 0
        self.findings: list[tuple[int, str]] = []
        """What is wrong with single lines: the number of the line, from 1, and what."""

    def new_run(self) -> None:
        """What comes next is of another run, whose clock may have been another."""
        self._previous = b""

    def take(self, block: bytes) -> list[bytes]:
        """The lines of a block, without their newlines."""
        lines = block.split(b"\n")
        lines.pop()
        while self._places and self._places[-1] <= self._line + len(lines):
            place = self._places.pop()
            before = lines[: place - self._line]
            self.offsets[place] = self._size + sum(map(len, before)) + len(before)
        self._special = _ENCODED in block or not _is_utf8(block)
        self._line += len(lines)
        self._size += len(block)
        self.sums.take(lines)
        return lines

    def read(self, lines: list[bytes], before: int) -> tuple[list[bytes], int, int]:
        """The messages of some lines that have `before` lines before them; `before` again; the last one's time in ns.

        A line that is none of ssmd's stands as an empty message.
        """
        payloads = None if self._special else self._fast(lines)
        self.trusted = payloads is not None
        if payloads is None:
            payloads = self._one_by_one(lines, before)
        last = self._previous[_TS].decode("ascii", "replace")
        return payloads, before, line_time(last) if last else 0

    def _fast(self, lines: list[bytes]) -> list[bytes] | None:
        """The messages, if these are all plain lines of this feed and day, in the order of time."""
        head = self._head
        heads = [line[:head] for line in lines]
        if {line[-1:] for line in lines} != {b"}"}:
            return None
        openings = {text[: len(self._opening)] for text in heads}
        afters = {text[_TS.stop :] for text in heads}
        if openings != {self._opening} or afters != {self._after}:
            return None
        seconds = Counter([text[_SECOND] for text in heads])
        micros = b"".join([text[_MICROS] for text in heads]).translate(_ZEROS)
        if micros != b"000000Z" * len(heads) or not all(map(_CLOCK.fullmatch, seconds)):
            return None
        if heads[0] < self._previous or not all(map(operator.le, heads, itertools.islice(heads, 1, None))):
            return None
        for second, count in seconds.items():
            self.hours[int(second[:2])] += count
        if self.first_ns is None:
            self.first_ns = line_time(heads[0][_TS].decode("ascii"))
        self._previous = heads[-1]
        self.last_ns = line_time(heads[-1][_TS].decode("ascii"))
        return [line[head:-1] for line in lines]

    def _one_by_one(self, lines: list[bytes], before: int) -> list[bytes]:
        payloads = []
        for number, line in enumerate(lines, before + 1):
            try:
                record = decode_line(line)
            except ValueError:
                self._find(number, "is not a line of ssmd")
                payloads.append(b"")
                continue
            payloads.append(record.payload)
            self.not_json += line[self._head : self._head + 1] == b'"' and line.endswith(_ENCODED_ENDS)
            if record.feed != self._feed:
                self._find(number, f"is of the feed {record.feed}")
            if not line.startswith(self._opening):
                self._find(number, f"is of another day: {line[_TS].decode('ascii')}")
            if line[: _TS.stop] < self._previous[: _TS.stop]:
                self._find(number, f"is older than the line before it: {line[_TS].decode('ascii')}")
            self._previous = line[: _TS.stop]
            self.hours[int(line[_SECOND][:2])] += 1
            self.first_ns = record.received_ns if self.first_ns is None else self.first_ns
            self.last_ns = record.received_ns
        return payloads

    def _find(self, number: int, text: str) -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append((number, text))

    def check_json(self, lines: list[bytes], before: int) -> None:
        """Name the lines that hold no valid message."""
        for number, line in enumerate(lines, before + 1):
            try:
                decode_line(line)
            except ValueError:
                self._find(number, "is not a line of ssmd")


def _is_utf8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
