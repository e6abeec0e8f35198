"""How late a collector is: with its own time for a message, and with the message's line in its file. Pure.

Each message holds the time at which it was sent. It is compared with the time that the collector wrote into the line,
and with the time at which the source saw the file grow to the end of the line. All are of the wall clock.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Stamps", "latencies_ms", "percentile", "stamps"]

_LINE = re.compile(rb'"(?:ts|time)": ?"(\d{27})"[^\n]*\n')
_STAMPED = re.compile(
    rb'^\{"ts": ?"([\d-]{10}T[\d:]{8})(?:\.(\d{1,9}))?Z"[^\n]*?"(?:ts|time)": ?"(\d{27})"', re.MULTILINE
)


class Stamps(NamedTuple):
    """How late the times are that a collector wrote into its lines."""

    late_ms: list[float]
    """Of each message, from sending. Where the times have few digits, each is taken for the middle of its step."""
    step_ms: float
    """The resolution of the times; nan when there are none."""


def latencies_ms(lines: bytes, log: bytes, from_ns: int, to_ns: int) -> Iterator[float]:
    """Yield the latency of every message that was sent between the two times, from sending to its line, in ms.

    `log`: the sizes of the file as the watch saw them, pairs of ns and size, 64 bits each, in native byte order. Raises
    ValueError when the watch did not see a line.
    """
    seen = struct.iter_unpack("=qq", log)
    when = size = 0
    for line in _LINE.finditer(lines):
        while size < line.end():
            try:
                when, size = next(seen)
            except StopIteration:
                raise ValueError("the watch ended before the last line was written") from None
        sent = int(line.group(1))
        if from_ns <= sent < to_ns:
            yield (when - sent) / 1e6


def stamps(lines: bytes, from_ns: int, to_ns: int) -> Stamps:
    """Compare the collector's time in the envelope of every message that was sent between the two times with sending.

    Without an envelope there is nothing to compare.
    """
    digits = -1
    late_ns: list[int] = []
    for second, fraction, sent in _STAMPED.findall(lines):
        # Python prints no fraction at all when it is 0, so the longest one shows how many digits the times have.
        digits = max(digits, len(fraction))
        if from_ns <= (sent_ns := int(sent)) < to_ns:
            late_ns.append(_second_ns(second) + int(fraction.ljust(9, b"0")) - sent_ns)
    if digits < 0:
        return Stamps([], float("nan"))
    step_ns = 10 ** (9 - digits)
    return Stamps([(late + step_ns // 2) / 1e6 for late in late_ns], step_ns / 1e6)


@lru_cache(maxsize=4)
def _second_ns(text: bytes) -> int:
    return int(datetime.fromisoformat(text.decode()).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of them (0 to 1) does not exceed, by nearest rank; nan without any."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(1, rank) - 1]
