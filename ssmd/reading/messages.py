"""Takes the exchange's own bytes out of blocks of lines that are known to be whole. Pure."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

from ssmd.store.head import DATA, TS, is_kept_as_string, split
from ssmd.store.line import decode_line

__all__ = ["Batch", "batch", "payloads", "raw"]

_QUOTE = ord('"')


class Batch(NamedTuple):
    """Recorded messages in a row, at least one."""

    sent: Sequence[bytes]
    """Each message as the exchange sent it, such that a collector writes the same line again: a JSON document ends with
    a newline, as every real one does, and of any other message every byte is in its line."""
    lines: Sequence[bytes] | None
    """The line of each message, with its time; None when no times are known."""


def batch(block: bytes) -> Batch:
    """Return the messages of a block. Raises ValueError for a line that ssmd did not write."""
    lines = split(block)
    documents, others = _documents(lines)
    sent = split(b"\n".join([*documents, b""]))
    for place in others:
        payload = decode_line(lines[place]).payload
        is_text = is_kept_as_string(lines[place], lines[place].index(DATA) + len(DATA))
        sent[place] = payload if is_text else payload + b"\n"
    return Batch(sent, lines)


def raw(block: bytes) -> bytes:
    """Return the messages of a block, each followed by one newline. Raises ValueError as batch() does.

    A message that was not JSON, and so was kept as a string, may itself contain newlines or end in one.
    """
    return b"\n".join([*payloads(split(block)), b""])


def payloads(lines: list[bytes]) -> list[bytes]:
    """Return the message of each line. Raises ValueError as batch() does."""
    found, others = _documents(lines)
    for place in others:
        found[place] = decode_line(lines[place]).payload
    return found


def _documents(lines: list[bytes]) -> tuple[list[bytes], list[int]]:
    """Return the message of each line, and which lines are not as nearly all are: one of another feed than the first
    line, and one whose message is a string. Their messages are still to be decoded.
    """
    start = lines[0].index(DATA) + len(DATA)
    head = operator.itemgetter(slice(TS.stop, start))
    feed = head(lines[0])
    others: list[int] = []
    # These two run in C, a few operations for any number of lines.
    if set(map(head, lines)) != {feed} or _QUOTE in bytes(map(operator.itemgetter(start), lines)):
        others = [place for place, line in enumerate(lines) if head(line) != feed or line[start] == _QUOTE]
    return list(map(operator.itemgetter(slice(start, -2)), lines)), others
