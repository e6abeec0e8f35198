"""The exchange's own bytes, out of blocks of lines that are known to be whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ssmd.archive.lines import split
from ssmd.envelope import decode_line, line_time

__all__ = ["Message", "messages", "raw"]

_TIME = slice(len('{"ts":"'), len('{"ts":"2025-12-22T10:30:00.123456Z'))
_DATA = b',"data":'
_QUOTE = ord('"')
_KEPT = (b',"encoding":"text"}\n', b',"encoding":"base64"}\n')
"""How the line of a message ends that is kept as a string. Behind the end of a document nothing but the envelope's
own key can follow, so the line of a document that is a string never ends so."""


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
        start = line.index(_DATA) + len(_DATA)
        if line[_TIME] != time:  # A batch of messages has one time.
            time = line[_TIME]
            ns = line_time(time.decode("ascii"))
        if line[start] == _QUOTE:
            yield Message(decode_line(line).payload, ns, document=not line.endswith(_KEPT))
        else:
            yield Message(line[start:-2], ns, document=True)


def raw(block: bytes) -> bytes:
    """The messages alone, each with one newline behind it.

    A message that was no JSON, and so was kept as a string, may hold newlines of its own, or end in one.
    """
    # A block holds one feed nearly always, so that the message begins at the same place in each line.
    start = block.index(_DATA) + len(_DATA)
    head = slice(_TIME.stop, start)
    feed = block[head]
    payloads = [
        line[start:-2] if line[head] == feed and line[start] != _QUOTE else decode_line(line).payload
        for line in split(block)
    ]
    return b"\n".join(payloads) + b"\n"
