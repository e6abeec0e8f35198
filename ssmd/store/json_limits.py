"""Which messages may be spliced into a line: one JSON document that every common reader accepts. Pure.

A message may have megabytes. One that is longer than PIECE is looked at piece by piece: that takes little memory, and
no step takes so long that other threads could not have their turn.
"""

from __future__ import annotations

import codecs
import itertools
import re
from array import array
from collections.abc import Iterator, Sequence

import msgspec

__all__ = ["MAX_DEPTH", "MAX_INTEGER_DIGITS", "PIECE", "are_within_limits", "is_json", "is_utf8", "pieces"]

PIECE = 64 * 1024
"""The bytes of a piece."""

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
# What is repeated has no choice, and its last part may fail only where it is not possessive: before Python 3.11.5 other
# patterns matched wrongly (https://github.com/python/cpython/issues/106052).
_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_WHOLE_TOKENS = re.compile(rb'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"]*+)*')
_TOO_MANY_DIGITS = re.compile(rb"[0-9]{%d,}+" % (MAX_INTEGER_DIGITS + 1))
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x02\xff\xfe")
_DIGITS = b"0123456789"


def are_within_limits(documents: Sequence[bytes]) -> bool:
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
        if len(data) <= PIECE:
            str(data, "utf-8")
        else:
            decoder = codecs.getincrementaldecoder("utf-8")()
            for piece in pieces(data):
                decoder.decode(piece)
            decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces of PIECE bytes; the last one may be shorter."""
    return (data[at : at + PIECE] for at in range(0, len(data), PIECE))


def is_json(document: bytes) -> bool:
    """Return whether this is one JSON document within the limits, with nothing around it."""
    if not is_utf8(document):
        return False
    try:
        # msgspec is strict where Python's json is lax (NaN, lone surrogate escapes), and lax nowhere.
        _check_syntax(document)
    except (ValueError, RecursionError):
        return False
    if _most_levels(document) > MAX_DEPTH and _is_too_deep(document):
        return False
    return _has_no_long_integer(document) or not _has_long_integer(document)


def _most_levels(document: bytes) -> int:
    """Return a depth that the document cannot exceed."""
    if len(document) > PIECE:
        return sum(map(_most_levels, pieces(document)))
    # replace() finds a rare byte many bytes at a time. count() looks at each byte, which takes ten times as long.
    lists, objects = document.replace(b"[", b""), document.replace(b"{", b"")
    return 3 * len(document) - len(lists) - 2 * len(objects)


def _has_no_long_integer(document: bytes) -> bool:
    """Return whether every run of digits is short enough for an integer; if not, _has_long_integer() decides."""
    # A run of more digits covers one of these positions, so not every byte has to be looked at.
    for at in range(MAX_INTEGER_DIGITS, len(document), MAX_INTEGER_DIGITS + 1):
        before, after = document[at - MAX_INTEGER_DIGITS : at + 1], document[at + 1 : at + 1 + MAX_INTEGER_DIGITS]
        leading, trailing = before.rstrip(_DIGITS), after.lstrip(_DIGITS)
        if len(before) > len(leading) and len(before + after) - len(leading + trailing) > MAX_INTEGER_DIGITS:
            return False
    return True


def _has_long_integer(document: bytes) -> bool:
    """Return whether a valid document holds an integer that is too long.

    Such digits may also be part of a string, of a fraction or of an exponent, where they are harmless.
    """
    at = 0
    for digits in _TOO_MANY_DIGITS.finditer(document):
        start, end = digits.span()
        if start < at:
            continue  # In a string, like the digits before.
        at = _after_tokens(document, at, start)
        if at < start:
            at = _after_string(document, at)
            continue
        before = document[max(0, start - 2) : start]
        is_exponent = before[-1:] in (b"e", b"E") or (before[-1:] in (b"+", b"-") and before[:1] in (b"e", b"E"))
        if not is_exponent and before[-1:] != b"." and document[end : end + 1] not in (b".", b"e", b"E"):
            return True
    return False


def _is_too_deep(document: bytes) -> bool:
    """Return whether a valid document is deeper than MAX_DEPTH."""
    level = at = 0
    while at < len(document):
        end = _after_tokens(document, at, at + PIECE)
        if end == at:
            at = _after_string(document, at)
            continue
        # As signed bytes, opening brackets are positive and closing ones negative. This runs in C, because a message of
        # megabytes may be all brackets.
        steps = array("b", _JSON_STRING.sub(b"", document[at:end]).translate(_STEPS, _NO_BRACKETS))
        levels = list(itertools.accumulate(steps, initial=level))
        if max(levels) > MAX_DEPTH:
            return True
        level = levels[-1]
        at = end
    return False


def _after_tokens(document: bytes, start: int, end: int) -> int:
    """Return the place up to which there are whole tokens, from `start`, where no string is open, to `end`. It is less
    than `end` when a string is open there: then it is the place where that string begins.
    """
    found = _WHOLE_TOKENS.match(document, start, end)
    return found.end() if found is not None else start


def _after_string(document: bytes, start: int) -> int:
    """Return the end of the string that begins at `start`."""
    found = _JSON_STRING.match(document, start)
    return found.end() if found is not None else len(document)
