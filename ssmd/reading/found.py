"""Proves that the lines of a block are lines of ssmd, and finds the types and the markets of their messages. Pure.

A whole block is decoded at once: by a decoder that skips everything or, when types and markets are looked for, by the
reader of the exchange's messages.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Sequence

import msgspec

from ssmd.contracts.exchange import Found, MessageReader
from ssmd.store.head import DATA, HOUR, heads_of_one_shape, is_kept_as_string
from ssmd.store.json_limits import is_utf8
from ssmd.store.line import decode_line
from ssmd.store.timestamps import parse_timestamp

__all__ = ["are_whole", "found_in_line", "found_in_lines"]

_hour = operator.itemgetter(HOUR)
_LAST = operator.itemgetter(-2)
"""The last character of a line before its newline."""


class _Object(msgspec.Struct, gc=False):
    """Any JSON object: the decoder skips everything in it."""


_decode_lines = msgspec.json.Decoder(_Object).decode_lines


def are_whole(block: bytes, lines: list[bytes]) -> bool:
    """Return whether all lines of a block are proved to be lines of ssmd.

    A JSON document holds newlines only between its tokens. So when there are as many documents as lines, and each line
    begins like one of ssmd, then each line is one document.
    """
    if not lines or not is_utf8(block):
        return False
    try:
        documents = len(_decode_lines(block))
    except (ValueError, RecursionError):
        return False
    if documents != len(lines):
        return False
    size = lines[0].find(DATA) + len(DATA)
    # Nearly always all messages are objects. One look at the heads, up to the brace, then shows that none is a string.
    if _are_heads(lines, size + 1):
        return True
    return _are_heads(lines, size) and _strings(lines, size) is not None


def found_in_lines(block: bytes, lines: list[bytes], reader: MessageReader) -> Sequence[Found] | None:
    """Return the type and the market of each line when all of them are proved to be lines of ssmd, else None."""
    if not lines or not is_utf8(block):
        return None
    size = lines[0].find(DATA) + len(DATA)
    if not _are_heads(lines, size) or bytes(map(_LAST, lines)).strip(b"}"):
        return None
    payloads = list(map(operator.itemgetter(slice(size, -2)), lines))
    with contextlib.suppress(ValueError, RecursionError):
        return reader.read(payloads)
    # One that was kept as a string is no JSON document here. It has no type, as has no string.
    for place in _strings(lines, size) or ():
        payloads[place] = b"null"
    with contextlib.suppress(ValueError, RecursionError):
        return reader.read(payloads)
    return None


def _are_heads(lines: list[bytes], size: int) -> bool:
    """Return whether the first `size` bytes of all lines are heads of one shape with valid times."""
    heads = heads_of_one_shape(lines, size)
    if heads is None:
        return False
    first, last = min(heads), max(heads)
    try:
        for hour in {first[HOUR]} if first[HOUR] == last[HOUR] else set(map(_hour, heads)):
            parse_timestamp(hour.decode("ascii") + ":00:00.000000Z")
    except ValueError:
        return False
    return True


def _strings(lines: list[bytes], size: int) -> list[int] | None:
    """Return which lines have a string after their head; None when one of them cannot be recovered."""
    if b'"' not in bytes(map(operator.itemgetter(size), lines)):
        return []
    found = [place for place, line in enumerate(lines) if line.startswith(b'"', size)]
    try:
        for place in found:
            decode_line(lines[place])
    except ValueError:
        return None
    return found


def found_in_line(line: bytes, reader: MessageReader | None) -> Found:
    """Return the type and the market of a line. Raises ValueError when ssmd did not write it."""
    payload = decode_line(line).payload
    if reader is None or is_kept_as_string(line, line.index(DATA) + len(DATA)):
        return "", ""
    try:
        return reader.read([payload])[0]
    except (ValueError, RecursionError):
        return "", ""
