"""The kinds of JSON values, as a shape distinguishes them. Pure."""

from __future__ import annotations

import re
from typing import Any

__all__ = [
    "ARRAY",
    "BOOLEAN",
    "DECIMAL_NUMBER",
    "DECIMAL_TEXT",
    "EMPTY_TEXT",
    "INTEGER",
    "INTEGER_TEXT",
    "JSON_TYPES",
    "NOTHING",
    "NULL",
    "OBJECT",
    "TEXT",
    "TIME_TEXT",
    "kind_of",
]

NULL, BOOLEAN, INTEGER, DECIMAL_NUMBER = "null", "boolean", "integer", "number"
TEXT, EMPTY_TEXT, DECIMAL_TEXT, INTEGER_TEXT, TIME_TEXT = "text", "empty text", "decimal text", "integer text", "time"
ARRAY, OBJECT = "array", "object"

JSON_TYPES = {
    NULL: "null",
    BOOLEAN: "boolean",
    INTEGER: "number",
    DECIMAL_NUMBER: "number",
    TEXT: "string",
    EMPTY_TEXT: "string",
    DECIMAL_TEXT: "string",
    INTEGER_TEXT: "string",
    TIME_TEXT: "string",
    ARRAY: "array",
    OBJECT: "object",
}
"""Every kind, with the type that it is of in JSON. INTEGER is a number without fraction and exponent. DECIMAL_TEXT is
a string that holds a number with a fraction, as many exchanges write prices; TIME_TEXT one with a time of RFC 3339."""

NOTHING = frozenset({NULL, EMPTY_TEXT})
"""The kinds of a field that is there and says nothing. Any field may be one of these at times."""

_TIME_TEXT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)", re.ASCII
)
_INTEGER_TEXT = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL_TEXT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?", re.ASCII)

_OTHERS = {
    type(None): NULL,
    bool: BOOLEAN,
    int: INTEGER,
    float: DECIMAL_NUMBER,
    list: ARRAY,
    dict: OBJECT,
}
_LONGEST = 64
"""No number and no time in a string is longer."""


def kind_of(value: Any) -> str:
    """Return the kind of a decoded JSON value."""
    if not isinstance(value, str):
        return _OTHERS[type(value)]
    if not value:
        return EMPTY_TEXT
    last = value[-1]
    if len(value) > _LONGEST or not (last.isdigit() or last == "Z"):
        return TEXT
    if _DECIMAL_TEXT.fullmatch(value):
        return DECIMAL_TEXT
    if _INTEGER_TEXT.fullmatch(value):
        return INTEGER_TEXT
    return TIME_TEXT if _TIME_TEXT.fullmatch(value) else TEXT
