"""Numbers and times as people read them on the page. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime

__all__ = ["bytes_text", "clock", "count", "long_duration", "rate", "seconds_text"]

_UNITS = (" B", " kB", " MB", " GB", " TB", " PB")


def count(value: float | None) -> str:
    """Return a whole number as `12,345`; `?` for None, which means that it is not known."""
    return "?" if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Return a number for each second, with one digit behind the point below ten; `?` for None. It is 0 only for 0."""
    if value is None:
        return "?"
    if 0 < value < 0.1:
        return "less than 0.1"
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"


def bytes_text(value: float | None) -> str:
    """Return `1.2 GB`, in units of a thousand each; `?` for None."""
    if value is None:
        return "?"
    place = 0
    while value >= 999.5 and place < len(_UNITS) - 1:
        value /= 1000
        place += 1
    return f"{value:.{0 if not place or value >= 99.5 else 1}f}{_UNITS[place]}"


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
