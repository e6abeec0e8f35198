"""Stretches: the parts of a file whose types and markets are read in one way. Pure.

A day's messages are read by the description that held when they came, and it may change in the middle of a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ssmd.contracts.exchange import MessageReader

__all__ = ["Stretch", "divided"]


class Stretch(NamedTuple):
    """The lines of a file from a place on, up to the next stretch."""

    offset: int
    """Where its first line begins, in bytes without compression. The first stretch also holds for the lines before."""
    reader: MessageReader
    """Finds the types and the markets of its messages."""
    known: bool = True
    """Whether the ledger or a description says where they are; False when `reader` is only the best guess."""


def divided(blocks: Iterable[bytes], offset: int, stretches: Sequence[Stretch]) -> Iterator[tuple[bytes, Stretch]]:
    """Yield blocks of whole lines, each with its stretch, and cut where the next one begins.

    `offset`: where the first block begins in the file. `stretches`: one at least, in order.
    """
    place = 0
    for block in blocks:
        begin, end = 0, offset + len(block)
        while place + 1 < len(stretches) and stretches[place + 1].offset < end:
            # In a damaged ledger it may lie within a line.
            cut = block.rfind(b"\n", begin, max(0, stretches[place + 1].offset - offset)) + 1
            if cut > begin:
                yield block[begin:cut], stretches[place]
                begin = cut
            place += 1
        yield block[begin:] if begin else block, stretches[place]
        offset = end
