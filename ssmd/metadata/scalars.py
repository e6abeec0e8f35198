"""Unquoted YAML scalars: text, until the type of the field is known."""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["Plain", "freeform"]


class Plain(str):
    """The text of a scalar that was written without quotes, so that it may stand for a number or a truth value."""

    __slots__ = ()


_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 100
"""Python refuses to read integers of thousands of digits, and no exchange needs one."""


def freeform(value: Any) -> Any:
    """Return the value by the core schema of YAML 1.2, for sections whose form the model leaves open.

    Whole numbers, decimals and true/false become what they look like. Dates, times, `yes` and `no` stay text, and so
    does what JSON could not carry to an exchange: `.nan`, `.inf` and numbers beyond a float.
    """
    if isinstance(value, dict):
        return {str(key): freeform(item) for key, item in value.items()}
    if isinstance(value, list):
        return [freeform(item) for item in value]
    return _scalar(value) if isinstance(value, Plain) else value


def _scalar(text: Plain) -> bool | int | float | str:
    if text in _TRUTH:
        return _TRUTH[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            return int(text, base)
        if _REAL.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    return str(text)
