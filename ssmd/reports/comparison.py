"""A day held against the days before it, and figures in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from ssmd.reports.figures import Figures
from ssmd.store.timestamps import timestamp

__all__ = [
    "DAYS_BEFORE",
    "by_feed",
    "change",
    "duration",
    "note",
    "percent",
    "short_bytes",
    "short_count",
    "short_rate",
    "silence",
]

DAYS_BEFORE = 7
"""How many days a day is compared with."""


def by_feed(figures: Sequence[Figures]) -> dict[str, list[Figures]]:
    """The days of each feed, in order."""
    found: dict[str, list[Figures]] = {}
    for each in figures:
        found.setdefault(each.feed, []).append(each)
    return found


def change(days: Sequence[Figures], place: int) -> float | None:
    """By how many percent a day has more messages than the mean of up to DAYS_BEFORE days before it.

    A day that is not over is held against the same hours of those. None when there is nothing to compare it with.
    """
    day = days[place]
    before = [each for each in days[max(0, place - DAYS_BEFORE) : place] if each.messages and each.over]
    hours = 24 if day.over else day.known_ns // 3_600_000_000_000
    usual = sum(sum(each.by_hour[:hours]) for each in before)
    if not usual:
        return None
    return 100 * (sum(day.by_hour[:hours]) * len(before) / usual - 1)


def note(day: Figures) -> str:
    """What is to be known of a day beside its figures, in two words; mostly nothing."""
    if not day.over:
        seconds = day.known_ns // 1_000_000_000
        until = f"until {seconds // 3600:02}:{seconds // 60 % 60:02}"
        return until if day.messages else f"{until}, no data"
    if not day.messages:
        return "no data"
    return "" if day.sealed else "not sealed"


def silence(newest: str, now_ns: int) -> str:
    """Of an archive that has had no data since its newest day, and whose days since then are not shown."""
    days = (date.fromisoformat(timestamp(now_ns)[:10]) - date.fromisoformat(newest)).days
    return f"no data since {newest}, {days:,} day{'s' if days > 1 else ''} ago"


def percent(value: float | None) -> str:
    """A coverage. 100.00 % is all of it: what is less by however little is never rounded up to that."""
    if value is None:
        return "?"
    return f"{value if value == 100 else min(value, 99.99):.2f} %"


def duration(seconds: float) -> str:
    """`1 d 02:03:04`, or for less than a minute `4.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = timedelta(seconds=round(seconds))
    clock = str(timedelta(seconds=whole.seconds)).rjust(8, "0")
    return f"{whole.days} d {clock}" if whole.days else clock


def short_count(value: float) -> str:
    """Three digits and a unit: `12.3 M`."""
    return _short(value, 1000, ("", " k", " M", " G", " T"))


def short_bytes(value: float) -> str:
    """Three digits and a unit: `12.3 GB`, of a thousand each."""
    return _short(value, 1000, (" B", " kB", " MB", " GB", " TB"))


def short_rate(value: float) -> str:
    """Messages a second: `1,234/s`, or below ten `1.2/s`."""
    return f"{value:,.0f}/s" if value >= 10 or not value else f"{value:.1f}/s"


def _short(value: float, step: int, units: Sequence[str]) -> str:
    place = 0
    while value >= step and place < len(units) - 1:
        value /= step
        place += 1
    digits = 0 if not place or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}{units[place]}"
