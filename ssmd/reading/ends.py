"""Where a copy ends that has a block, or lines of a file. Pure."""

from __future__ import annotations

from ssmd.contracts.sink import Block, End, Position
from ssmd.store.head import TS

__all__ = ["end_at", "end_of"]


def end_at(position: Position, line: bytes) -> End:
    """Return the end of a copy whose last line is `line`."""
    return End.of(position, line, line[TS].decode("ascii", "replace"))


def end_of(block: Block) -> End:
    """Return where a copy ends with a block."""
    return end_at(block.end, block.lines[-1])
