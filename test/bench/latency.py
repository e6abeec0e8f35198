"""The latency from the sending of a message to its line in the file, from the file and the source's watch. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence

__all__ = ["latencies_ms", "percentile"]

_LINE = re.compile(rb'"ts": ?"(\d{27})"[^\n]*\n')


def latencies_ms(lines: bytes, log: bytes, from_ns: int, to_ns: int) -> Iterator[float]:
    """Yield the latency of every message that was sent between the two times, in ms.

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


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of them (0 to 1) does not exceed, by nearest rank; nan without any."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(1, rank) - 1]
