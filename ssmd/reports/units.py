"""Figures as text, in the same form in every command: percentages, durations, counts, sizes and rates. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

__all__ = ["count", "duration", "more_or_less", "percent", "short_bytes", "short_count", "short_rate"]

_ROUNDING_ERROR = 1e-9
"""In hundredths of a percent. 45 % may be computed as 44.99999999999999 %, which must not be shown as 44.99 %. A
microsecond is 1e-7 hundredths of a day, so this hides none."""


def percent(value: float | None) -> str:
    """Return a part of the whole, given in percent, as `99.99 %`; `?` for None, which means that it is not known.

    Rounded down, so that `100.00 %` always means all of it.
    """
    if value is None:
        return "?"
    hundredths = math.floor(100 * value + _ROUNDING_ERROR)
    return f"{(hundredths if value >= 100 else min(hundredths, 9999)) / 100:.2f} %"


def more_or_less(value: float | None) -> str:
    """Return by how many percent something is more or less, as `+50 %`; empty for None, when there is no comparison.

    `-100 %` always means that nothing is left, and `0 %` has no sign.
    """
    if value is None:
        return ""
    whole = round(value) if value <= -100 else max(round(value), -99)
    return f"{whole:+} %" if whole else "0 %"


def count(value: int | None, unit: str = "") -> str:
    """Return a number as `12,345`, and its unit; `?` for None, which means that it is not known."""
    return "?" if value is None else f"{value:,}{unit}"


def duration(seconds: float) -> str:
    """Return `1 d 02:03:04`, `4.2 s` for less than a minute, or `40 ms` for less than 0.1 s. It is 0 only for 0."""
    if 0 < seconds < 0.1:
        return f"{max(1, round(1000 * seconds))} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = timedelta(seconds=round(seconds))
    clock = str(timedelta(seconds=whole.seconds)).rjust(8, "0")
    return f"{whole.days} d {clock}" if whole.days else clock


def short_count(value: float) -> str:
    """Return three digits and a unit: `12.3 M`."""
    return _short(value, ("", " k", " M", " G", " T"))


def short_bytes(value: float) -> str:
    """Return three digits and a unit, of a thousand each: `12.3 GB`."""
    return _short(value, (" B", " kB", " MB", " GB", " TB"))


def short_rate(value: float | None) -> str:
    """Return messages a second: `1,234/s`, or `1.2/s` below ten; `?` for None. It is 0 only for 0."""
    if value is None:
        return "?"
    if 0 < value < 0.1:
        return "<0.1/s"
    return f"{value:,.0f}/s" if value >= 10 or not value else f"{value:.1f}/s"


def _short(value: float, units: Sequence[str]) -> str:
    place = 0
    while value >= 1000 and place < len(units) - 1:
        value /= 1000
        place += 1
    digits = 0 if not place or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{units[place]}"
