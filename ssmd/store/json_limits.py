"""Which messages may be spliced into a line: one JSON document that every common reader accepts. Pure."""

from __future__ import annotations

import itertools
import json
import re
from array import array

import msgspec

__all__ = ["MAX_DEPTH", "MAX_INTEGER_DIGITS", "are_within_limits", "is_json", "is_utf8"]

MAX_DEPTH = 250
"""How deep a document may nest. An object counts as two levels, as in jq 1.6, which gives up at 256, with the object of
the line itself included."""

MAX_INTEGER_DIGITS = 4300
"""The longest integer that Python's json reads (sys.int_info.default_max_str_digits)."""

# A level takes at least two bytes, one to open and one to close it. So a document of up to this length cannot nest too
# deep, nor hold too long an integer, and nearly every message is shorter. Only an innermost `{}` makes two levels of
# two bytes; hence the -1.
_SHORT = 2 * MAX_DEPTH - 1

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_JSON_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x02\xff\xfe")
_DIGITS = b"0123456789"


def are_within_limits(documents: list[bytes]) -> bool:
    """Return whether valid JSON documents are surely not too deep, and hold no integer that is too long.

    `documents`: at least one. False means only that each has to be checked with is_json().
    """
    longest = max(map(len, documents))
    if longest <= _SHORT:
        return True
    if max(map(_most_levels, documents)) > MAX_DEPTH:
        return False
    return longest <= MAX_INTEGER_DIGITS or all(map(_has_no_long_integer, documents))


def is_utf8(data: bytes) -> bool:
    """Return whether data is UTF-8. JSON decoders do not check the strings that they skip."""
    if data.isascii():
        return True
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_json(document: bytes) -> bool:
    """Return whether this is one JSON document within the limits, with nothing around it."""
    try:
        text = document.decode("utf-8")
        # msgspec is strict where Python's json is lax (NaN, lone surrogate escapes), and lax nowhere.
        _check_syntax(document)
        if _most_levels(document) > MAX_DEPTH and _depth(document) > MAX_DEPTH:
            return False
        if not _has_no_long_integer(document):
            # The digits may be part of a string or a fraction, which is harmless: Python's json decides.
            json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _most_levels(document: bytes) -> int:
    """Return a depth that the document cannot exceed."""
    # replace() finds a rare byte many bytes at a time. count() looks at each byte, which takes ten times as long.
    lists, objects = document.replace(b"[", b""), document.replace(b"{", b"")
    return 3 * len(document) - len(lists) - 2 * len(objects)


def _has_no_long_integer(document: bytes) -> bool:
    # A run of more digits covers one of these positions, so not every byte has to be looked at.
    for at in range(MAX_INTEGER_DIGITS, len(document), MAX_INTEGER_DIGITS + 1):
        before, after = document[at - MAX_INTEGER_DIGITS : at + 1], document[at + 1 : at + 1 + MAX_INTEGER_DIGITS]
        leading, trailing = before.rstrip(_DIGITS), after.lstrip(_DIGITS)
        if len(before) > len(leading) and len(before + after) - len(leading + trailing) > MAX_INTEGER_DIGITS:
            return False
    return True


def _depth(document: bytes) -> int:
    # As signed bytes, opening brackets are positive and closing ones negative. This runs in C, because a message of
    # megabytes may be all brackets, and nothing else runs meanwhile.
    steps = array("b", _JSON_STRING.sub(b"", document).translate(_STEPS, _NO_BRACKETS))
    return max(itertools.accumulate(steps), default=0)
