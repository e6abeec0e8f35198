"""Figures and times as people read them, in the same form in every command and on every page. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

__all__ = [
    "bytes_text",
    "clock",
    "count",
    "counted",
    "duration",
    "for_how_long",
    "long_duration",
    "more_or_less",
    "percent",
    "rate",
    "seconds_text",
    "short_count",
    "short_rate",
    "since_text",
]

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


def count(value: float | None, unit: str = "") -> str:
    """Return a whole number as `12,345`, and its unit; `?` for None, which means that it is not known."""
    return "?" if value is None else f"{value:,.0f}{unit}"


def counted(value: float | None, noun: str) -> str:
    """Return how many there are of something, as `1 gap` or `12,345 gaps`; `? gaps` when that is not known."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


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


def bytes_text(value: float | None) -> str:
    """Return three digits and a unit, of a thousand each: `12.3 GB`; `?` for None."""
    return "?" if value is None else _short(value, (" B", " kB", " MB", " GB", " TB"))


def rate(value: float | None) -> str:
    """Return a number for each second: `1,234`, or `1.2` below ten; `?` for None. It is 0 only for 0."""
    if value is None:
        return "?"
    if 0 < value < 0.1:
        return "less than 0.1"
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"


def short_rate(value: float | None) -> str:
    """Return a rate with its unit: `1,234/s`."""
    return "?" if value is None else f"{rate(value).replace('less than ', '<')}/s"


def seconds_text(seconds: float | None) -> str:
    """Return a short time, such as an age: `40 ms`, `0.2 s`, `94 s`, `12 min`; `?` for None."""
    if seconds is None:
        return "?"
    if seconds < 0.1:
        return f"{math.ceil(1000 * seconds)} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 180 else long_duration(seconds)


def long_duration(seconds: float) -> str:
    """Return a time in whole units, the two greatest of them: `12 s`, `3 min 5 s`, `3 h 5 min`, `2 d 4 h`."""
    whole = int(seconds)
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    found: list[str] = []
    for name, size in units:
        number, whole = divmod(whole, size)
        if number or found:
            found.append(f"{number} {name}" if number else "")
        if len(found) == 2:
            break
    return " ".join(filter(None, found)) or "0 s"


def clock(ns: int, now_ns: int) -> str:
    """Return a UTC time: `09:30`, with seconds when they are not 0, and with the date when that is not today's."""
    then, now = (datetime.fromtimestamp(each // 1_000_000_000, UTC) for each in (ns, now_ns))
    time = f"{then:%H:%M:%S}" if then.second else f"{then:%H:%M}"
    return time if then.date() == now.date() else f"{then:%Y-%m-%d} {time}"


def _short(value: float, units: Sequence[str]) -> str:
    place = 0
    while value >= 999.5 and place < len(units) - 1:
        value /= 1000
        place += 1
    digits = 0 if not place or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{digits}f}{units[place]}"


def since_text(since_ns: int, now_ns: int) -> str:
    """Return `since 17:29:15 UTC, for 94 s`."""
    return f"since {clock(since_ns, now_ns)} UTC, {for_how_long(since_ns, now_ns)}"


def for_how_long(since_ns: int, now_ns: int) -> str:
    """Return `for 94 s`, or `for 12 min 3 s`."""
    seconds = round(max(0, now_ns - since_ns) / 1e9)
    return f"for {f'{seconds} s' if seconds < 180 else long_duration(seconds)}"
