"""Proves that the lines of a block are lines of ssmd, and finds the types and the markets of their messages. Pure.

A whole block is decoded at once: by a decoder that skips everything or, when types and markets are looked for, by the
reader of the exchange's messages.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ssmd.contracts.exchange import Found, MessageReader
from ssmd.store.head import DATA, HOUR, heads_of_one_shape, is_kept_as_string
from ssmd.store.json_limits import is_utf8
from ssmd.store.line import decode_line
from ssmd.store.timestamps import parse_timestamp

__all__ = ["Columns", "are_whole", "column_of", "columns_of", "found_in_line", "found_in_lines"]

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


class Columns(NamedTuple):
    """What lines hold; the sequences are parallel, one element for each line."""

    payloads: Sequence[bytes]
    """The exchange's own bytes, also of a message that was kept as a string."""
    found: Sequence[Found]
    """The type and the market."""


def found_in_lines(block: bytes, lines: list[bytes], reader: MessageReader) -> Sequence[Found] | None:
    """Return the type and the market of each line when all of them are proved to be lines of ssmd, else None."""
    columns = columns_of(block, lines, reader)
    return columns.found if columns is not None else None


def columns_of(block: bytes, lines: list[bytes], reader: MessageReader) -> Columns | None:
    """Return what the lines of a block hold when all of them are proved to be lines of ssmd, else None.

    It also returns None for lines whose heads have several lengths, as those of two feeds.
    """
    if not lines or not is_utf8(block):
        return None
    size = lines[0].find(DATA) + len(DATA)
    if not _are_heads(lines, size) or bytes(map(_LAST, lines)).strip(b"}"):
        return None
    payloads = list(map(operator.itemgetter(slice(size, -2)), lines))
    with contextlib.suppress(ValueError, RecursionError):
        return Columns(payloads, reader.read(payloads))
    # One that was kept as a string is no JSON document here. It has no type, as has no string.
    documents = payloads.copy()
    for place, payload in (_strings(lines, size) or {}).items():
        payloads[place], documents[place] = payload, b"null"
    with contextlib.suppress(ValueError, RecursionError):
        return Columns(payloads, reader.read(documents))
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


def _strings(lines: list[bytes], size: int) -> dict[int, bytes] | None:
    """Return the messages that are a string after the head, by the place of their line; None when one of them cannot
    be recovered.
    """
    if b'"' not in bytes(map(operator.itemgetter(size), lines)):
        return {}
    try:
        return {place: decode_line(line).payload for place, line in enumerate(lines) if line.startswith(b'"', size)}
    except ValueError:
        return None


def column_of(line: bytes, reader: MessageReader) -> tuple[bytes, Found]:
    """Return the message of a line, and its type and market. Raises ValueError when ssmd did not write the line."""
    payload = decode_line(line).payload
    if is_kept_as_string(line, line.index(DATA) + len(DATA)):
        return payload, ("", "")
    try:
        return payload, reader.read([payload])[0]
    except (ValueError, RecursionError):
        return payload, ("", "")


def found_in_line(line: bytes, reader: MessageReader | None) -> Found:
    """Return the type and the market of a line. Raises ValueError when ssmd did not write it."""
    if reader is not None:
        return column_of(line, reader)[1]
    decode_line(line)
    return "", ""
