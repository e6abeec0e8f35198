"""Makes blocks of recorded lines, each of one connection and one dialect, and cuts them to size."""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from ssmd.contracts.exchange import Found, MessageReader
from ssmd.contracts.sink import Block, Position
from ssmd.reading.found import column_of, columns_of
from ssmd.reading.ledger_parts import LedgerParts, Part
from ssmd.store.head import split

__all__ = ["cut", "joined", "pieces", "span"]


def pieces(
    data: bytes,
    start: Position,
    parts: LedgerParts,
    reader: Callable[[Part], MessageReader],
    damaged: Callable[[int], object],
) -> Iterator[Block]:
    """Yield the lines of `data`, which are whole and begin at `start`, in blocks.

    `parts`: what the ledger says, read after the lines. `damaged` is called with the number, from 1, of each line that
    ssmd did not write; it is in no block.
    """
    while data:
        part, end = parts.at(start.offset), parts.end(start.offset)
        until = len(data)
        if end is not None and end - start.offset < len(data):
            # In a damaged ledger it may lie within a line, which then belongs to what ends there.
            until = data.rfind(b"\n", 0, end - start.offset) + 1 or data.find(b"\n") + 1
        piece, data = data[:until], data[until:]
        lines = split(piece)
        columns = columns_of(piece, lines, reader(part))
        if columns is not None:
            yield _block(start, part, lines, columns.payloads, columns.found)
        else:
            yield from _one_by_one(lines, start, part, reader(part), damaged)
        start = start._replace(offset=start.offset + len(piece), line=start.line + len(lines))


def _block(start: Position, part: Part, lines: list[bytes], payloads: Sequence[bytes], found: Sequence[Found]) -> Block:
    end = start._replace(offset=start.offset + sum(map(len, lines)), line=start.line + len(lines))
    return Block(start, end, part.session, part.exchange, lines, payloads, found)


def _one_by_one(
    lines: list[bytes], start: Position, part: Part, reader: MessageReader, damaged: Callable[[int], object]
) -> Iterator[Block]:
    """Yield the lines that ssmd wrote, in one block for each row of them."""
    row: list[tuple[bytes, bytes, Found]] = []
    at = start
    for line in lines:
        after = at._replace(offset=at.offset + len(line), line=at.line + 1)
        try:
            row.append((line, *column_of(line, reader)))
        except ValueError:
            damaged(after.line)
            if row:
                yield _block(start, part, *map(list, zip(*row, strict=True)))
            row, start = [], after
        at = after
    if row:
        yield _block(start, part, *map(list, zip(*row, strict=True)))


def span(block: Block) -> int:
    """Return how many bytes of lines a block has."""
    return block.end.offset - block.start.offset


def joined(blocks: Sequence[Block]) -> Block:
    """Return blocks of one connection, each behind the one before it, as one."""
    if len(blocks) == 1:
        return blocks[0]
    lines, payloads, found = (
        list(itertools.chain.from_iterable(map(operator.attrgetter(name), blocks)))
        for name in ("lines", "payloads", "found")
    )
    return blocks[0]._replace(end=blocks[-1].end, lines=lines, payloads=payloads, found=found)


def cut(block: Block, most_lines: int, most_bytes: int) -> tuple[Block, Block | None]:
    """Return the first lines of a block, at least one, and the rest; None when nothing is left.

    `most_bytes`: the most bytes of payloads, unless the first line alone has more.
    """
    count = min(len(block.lines), most_lines)
    sizes = list(itertools.accumulate(map(len, block.payloads[:count])))
    if sizes[-1] > most_bytes:
        count = max(1, bisect_right(sizes, most_bytes))
    if count == len(block.lines):
        return block, None
    lines, payloads, found = block.lines[:count], block.payloads[:count], block.found[:count]
    start = block.start
    middle = start._replace(offset=start.offset + sum(map(len, lines)), line=start.line + count)
    rest = block._replace(
        start=middle, lines=block.lines[count:], payloads=block.payloads[count:], found=block.found[count:]
    )
    return block._replace(end=middle, lines=lines, payloads=payloads, found=found), rest
