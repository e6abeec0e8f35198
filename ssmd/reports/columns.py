"""The columns of the report: the name and the value of each, for the text and for the HTML page.

A new column is one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ssmd.reports.comparison import change
from ssmd.reports.figures import Figures
from ssmd.words import bytes_text, count, duration, more_or_less, percent, short_rate

__all__ = ["COLUMNS", "COVERED", "Column", "Row", "remark", "rows"]


class Row(NamedTuple):
    """A day of a feed, and what its columns need of the other days."""

    day: Figures
    change: float | None
    """By how many percent it has more messages than the days before; see comparison.change()."""
    highest_rate: float
    """Messages a second in the busiest hour of all days of the feed. The longest bar stands for it."""


def rows(days: Sequence[Figures]) -> list[Row]:
    """Return a row for each of a feed's days, which come oldest first."""
    highest = max((rate for day in days for rate in day.rates), default=0.0)
    return [Row(day, change(days, place), highest) for place, day in enumerate(days)]


def _plain(row: Row) -> str:
    return ""


def _mean(row: Row) -> str:
    rate = row.day.mean_rate
    return "" if rate is None and row.day.coverage == 0 else short_rate(rate)


class Column(NamedTuple):
    """A column of the table of days."""

    name: str
    value: Callable[[Row], str]
    dropped: int = 0
    """A narrow terminal leaves out the column with 1 first, then the one with 2, and so on; never one with 0."""
    grade: Callable[[Row], str] = _plain
    """How the page shows the value: `fair` for one that is not as it should be, `faint` for a 0, otherwise empty."""


def _unless_zero(number: Callable[[Figures], int | None]) -> Callable[[Row], str]:
    return lambda row: "fair" if number(row.day) else "faint"


COLUMNS = (
    Column("messages", lambda row: f"{row.day.messages:,}"),
    Column("change", lambda row: more_or_less(row.change), 4),
    Column("bytes", lambda row: bytes_text(row.day.bytes), 8),
    Column("on disk", lambda row: bytes_text(row.day.stored_bytes), 1),
    Column("mean", _mean, 5),
    Column("peak hour", lambda row: short_rate(max(row.day.rates)), 2),
    Column("peak second", lambda row: count(row.day.peak_second, "/s"), 3),
    Column("gaps", lambda row: count(row.day.sequence_gaps), 9, _unless_zero(lambda day: day.sequence_gaps)),
    Column("lost", lambda row: count(row.day.missing), 12, _unless_zero(lambda day: day.has_lost)),
    Column("outages", lambda row: count(row.day.outage_count), 10, _unless_zero(lambda day: day.outage_count)),
    Column("lasted", lambda row: duration(row.day.seconds_out) if row.day.outages else "", 6, lambda row: "fair"),
)

COVERED = Column("covered", lambda row: percent(row.day.coverage) if row.day.open_ns or not row.day.known_ns else "")
"""Apart from the others: the text has it behind them, in a colour, and the page before them, as a badge."""


def remark(day: Figures) -> str:
    """Return what a reader should know of a day beside its figures, in few words; mostly nothing."""
    nothing = "no data" if day.open_ns or not day.known_ns else "closed"
    if not day.over:
        seconds = day.known_ns // 1_000_000_000
        until = f"until {seconds // 3600:02}:{seconds // 60 % 60:02}"
        return until if day.messages else f"{until}, {nothing}"
    if not day.messages:
        return nothing
    return "" if day.sealed else "not sealed"
