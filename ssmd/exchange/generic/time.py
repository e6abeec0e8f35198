"""Reads the exchange's times in messages. Pure."""

from __future__ import annotations

import re
from typing import Any

from ssmd.store.timestamps import iso_ns

__all__ = ["FORMATS", "unix_ms"]

RFC3339 = "rfc3339"
_UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}
"""In ns."""

FORMATS = (*_UNITS, RFC3339)
"""How a time may be written: a unit of Unix time, as number or text; or as RFC 3339 has it."""

_SIZES = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))
"""Numbers below these are of this unit, others of ns. So times of the years from 1973 to 5138 are read right."""

_LATEST_MS = 2**53

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_TEXT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)


def unix_ms(value: Any, written: str = "") -> int | None:
    """Return the time in whole ms since the epoch; None for a value that is no such time.

    `written`: one of FORMATS; empty to see from the value whether it is a number, of which unit, or a text.
    """
    if written == RFC3339:
        return _from_text(value) if type(value) is str else None
    if type(value) is str:
        if _NUMBER.fullmatch(value) is None:
            return None if written else _from_text(value)
        value = float(value) if "." in value else int(value)
    elif type(value) is not int and type(value) is not float:
        return None
    if not written:
        written = next((unit for limit, unit in _SIZES if value < limit), "ns")
    ms = value * _UNITS[written] // 1_000_000
    return int(ms) if 0 < ms <= _LATEST_MS else None


def _from_text(text: str) -> int | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    day, second, fraction, sign, hours, minutes = match.groups()
    try:
        ms = iso_ns(f"{day}T{second}", fraction, sign, hours, minutes) // 1_000_000
    except ValueError:
        return None
    return ms if ms > 0 else None
