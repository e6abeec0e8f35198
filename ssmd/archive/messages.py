"""The exchange's own bytes, out of blocks of lines that are known to be whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ssmd.archive.selection import joined, split
from ssmd.envelope import decode_line

__all__ = ["Message", "messages", "raw"]

_QUOTE = ord('"')
_KEPT = (b',"encoding":"text"}', b',"encoding":"base64"}')


class Message(NamedTuple):
    """One recorded message."""

    payload: bytes
    """The exchange's bytes, but for white space between the tokens of valid JSON."""
    received_ns: int | None
    """Wall clock in ns since the epoch; None when it is not known."""
    document: bool
    """It is one JSON document, so that white space around it means nothing."""


def messages(block: bytes) -> Iterator[Message]:
    """What the lines of a block hold, one by one. Raises ValueError for a line that ssmd did not write."""
    for line in split(block):
        record = decode_line(line)
        yield Message(record.payload, record.received_ns, not _is_kept_as_string(line))


def raw(block: bytes) -> bytes:
    """The messages alone, each with one newline behind it.

    A message that was no JSON, and so was kept as a string, may hold newlines of its own, or end in one.
    """
    # A block holds one feed nearly always, so that the message begins at the same place in each line.
    start = block.index(b',"data":') + len(b',"data":')
    head = slice(len('{"ts":"2025-12-22T10:30:00.123456Z'), start)
    feed = block[head]
    return joined(
        [
            line[start:-1] if line[head] == feed and line[start] != _QUOTE else decode_line(line).payload
            for line in split(block)
        ]
    )


def _is_kept_as_string(line: bytes) -> bool:
    # A document that is a string ends the line with a quote and a bracket, and one that is none holds no such end:
    # behind the end of a document nothing but the envelope's own key can follow.
    return line.endswith(_KEPT) and line[line.index(b',"data":') + len(b',"data":')] == _QUOTE
