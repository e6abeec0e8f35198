"""Reads back the copy of a feed in a folder."""

from __future__ import annotations

from collections.abc import Iterator

from ssmd.contracts.sink import Copied
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.found import are_whole
from ssmd.reading.messages import payloads
from ssmd.shipping.file.state import CopyState
from ssmd.store.head import TS, split
from ssmd.store.layout import DayFile
from ssmd.store.line import decode_line

__all__ = ["copies_of"]


def copies_of(file: DayFile, state: CopyState) -> Iterator[Copied]:
    """Yield the messages in the copy of a day, up to the position. Raises DataError."""
    size, count = 0, 0
    for block in LineBlocks(file.path):
        if file.day == state.day:
            block = block[: state.size - size]
        size += len(block)
        lines = split(block)
        for line, payload in zip(lines, _payloads(block, lines), strict=True):
            number = state.recorded_line(file.day, count) + 1
            count += 1
            yield Copied(f"{file.path}:{count}", file.day, number, line[TS].decode("ascii", "replace"), payload)


def _payloads(block: bytes, lines: list[bytes]) -> list[bytes]:
    """Return the message of each line, or the line itself when it is none of ssmd."""
    if are_whole(block, lines):
        return payloads(lines)
    found = []
    for line in lines:
        try:
            found.append(decode_line(line).payload)
        except ValueError:
            found.append(line)
    return found
