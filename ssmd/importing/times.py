"""Reads the times of recordings of other programs: Unix times and ISO 8601, exact to the nanosecond. Pure."""

from __future__ import annotations

import re
from decimal import Context, Decimal

from ssmd.errors import printable
from ssmd.store.timestamps import DAY_NS, day_begins, iso_ns

__all__ = ["FORMATS", "parse_time"]

_DIGITS_TO_NS = {"s": 9, "ms": 6, "us": 3, "ns": 0}
_ISO, _ISO_UTC = "iso", "iso-utc"
FORMATS = (_ISO, _ISO_UTC, *_DIGITS_TO_NS)
"""What `time_format` may be: ISO 8601 with its zone, ISO 8601 in UTC unless it names a zone, or a unit of Unix time."""

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,2})?", re.ASCII)
_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)? ?(?:(Z|z)|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?",
    re.ASCII,
)

_EXACT = Context(prec=100)
"""More digits than a number of _NUMBER has. By default 28 are kept: a longer fraction would be rounded up."""

_EARLIEST_NS = day_begins("2000-01-01")
"""No exchange sent its messages like this before. A unit that is too small gives such a time."""


def parse_time(text: str, time_format: str, now_ns: int) -> int:
    """Return the time in ns since the epoch, cut to whole ns. `time_format`: one of FORMATS.

    Raises ValueError for a time that has another format, or that lies before 2000 or more than a day after `now_ns`:
    it most likely has another unit. Its message says what is wrong and what may help; it follows the time.
    """
    latest_ns = now_ns + DAY_NS
    if time_format in _DIGITS_TO_NS:
        ns = _unix_ns(text, _DIGITS_TO_NS[time_format])
    else:
        ns = _iso_ns(text, in_utc=time_format == _ISO_UTC, latest_ns=latest_ns)
    if not _EARLIEST_NS <= ns <= latest_ns:
        place = "before the year 2000" if ns < _EARLIEST_NS else "in the future"
        raise ValueError(f"lies {place} when it is read as `{time_format}`{_other_unit(text, latest_ns)}")
    return ns


def _unix_ns(text: str, digits: int) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("is not a number; say how the times are written with --time-format")
    return int(_EXACT.scaleb(Decimal(text), digits))


def _iso_ns(text: str, *, in_utc: bool, latest_ns: int) -> int:
    match = _TEXT.fullmatch(text)
    if match is None:
        if _NUMBER.fullmatch(text) is not None:
            hint = _other_unit(text, latest_ns) or "; say its unit with --time-format: s, ms, us or ns"
            raise ValueError(f"is a number, and not a time of ISO 8601{hint}")
        raise ValueError("is not a time of ISO 8601, such as 2025-12-22T10:30:00.123456Z")
    day, minute, second, fraction, zulu, sign, hours, minutes = match.groups()
    if zulu is None and sign is None and not in_utc:
        raise ValueError("has no time zone; if it is UTC, say so with --time-format iso-utc")
    try:
        return iso_ns(f"{day}T{minute}:{second or '00'}", fraction, sign, hours, minutes)
    except ValueError:
        raise ValueError("is not a possible date and time; correct it or remove the line") from None


def _other_unit(text: str, latest_ns: int) -> str:
    """Return which unit would make a number a time of our days, as the end of a sentence; nothing if none would."""
    if _NUMBER.fullmatch(printable(text)) is not None:
        for unit, digits in _DIGITS_TO_NS.items():
            if _EARLIEST_NS <= _EXACT.scaleb(Decimal(text), digits) <= latest_ns:
                return f"; its unit seems to be {unit}: --time-format {unit}"
    return ""
