"""The exchange's own bytes, out of blocks of lines that are known to be whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ssmd.store.head import DATA, ENCODED_ENDS, TS, split
from ssmd.store.line import decode_line
from ssmd.store.timestamps import parse_timestamp

__all__ = ["Message", "messages", "raw"]

_QUOTE = ord('"')


class Message(NamedTuple):
    """One recorded message."""

    payload: bytes
    """The exchange's bytes, but for white space between the tokens of valid JSON."""
    received_ns: int | None
    """Wall clock in ns since the epoch; None when it is not known."""
    document: bool
    """It is one JSON document, so that white space around it means nothing."""


def messages(block: bytes) -> Iterator[Message]:
    """What the lines of a block hold, one by one. Each must be a line of ssmd."""
    time, ns = b"", 0
    for line in split(block):
        start = line.index(DATA) + len(DATA)
        if line[TS] != time:  # A batch of messages has one time.
            time = line[TS]
            ns = parse_timestamp(time.decode("ascii"))
        if line[start] == _QUOTE:
            yield Message(decode_line(line).payload, ns, document=not line.endswith(ENCODED_ENDS))
        else:
            yield Message(line[start:-2], ns, document=True)


def raw(block: bytes) -> bytes:
    """The messages alone, each with one newline behind it.

    A message that was no JSON, and so was kept as a string, may hold newlines of its own, or end in one.
    """
    # A block holds one feed nearly always, so that the message begins at the same place in each line.
    start = block.index(DATA) + len(DATA)
    head = slice(TS.stop, start)
    feed = block[head]
    payloads = [
        line[start:-2] if line[head] == feed and line[start] != _QUOTE else decode_line(line).payload
        for line in split(block)
    ]
    return b"\n".join(payloads) + b"\n"
