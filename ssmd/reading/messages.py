"""Takes the exchange's own bytes out of blocks of lines that are known to be whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ssmd.store.head import DATA, TS, is_kept_as_string, split
from ssmd.store.line import decode_line
from ssmd.store.timestamps import parse_timestamp

__all__ = ["Message", "messages", "raw"]

_QUOTE = ord('"')


class Message(NamedTuple):
    """One recorded message."""

    payload: bytes
    """The exchange's bytes, except for white space between the tokens of valid JSON."""
    received_ns: int | None
    """Wall clock, ns since the epoch; None when it is not known."""
    document: bool
    """It is one JSON document, so white space around it has no meaning."""


def messages(block: bytes) -> Iterator[Message]:
    """Yield the message of each line of a block. Raises ValueError for a line that ssmd did not write."""
    time, ns = b"", 0
    for line in split(block):
        start = line.index(DATA) + len(DATA)
        if line[TS] != time:  # All messages of a batch have the same time.
            time = line[TS]
            ns = parse_timestamp(time.decode("ascii"))
        if line[start] == _QUOTE:
            yield Message(decode_line(line).payload, ns, document=not is_kept_as_string(line, start))
        else:
            yield Message(line[start:-2], ns, document=True)


def raw(block: bytes) -> bytes:
    """Return the messages of a block, each followed by one newline.

    A message that was not JSON, and so was kept as a string, may itself contain newlines or end in one.
    """
    # Nearly always all lines of a block are of one feed, and their messages begin at the same place.
    start = block.index(DATA) + len(DATA)
    head = slice(TS.stop, start)
    feed = block[head]
    payloads = [
        line[start:-2] if line[head] == feed and line[start] != _QUOTE else decode_line(line).payload
        for line in split(block)
    ]
    return b"\n".join(payloads) + b"\n"
