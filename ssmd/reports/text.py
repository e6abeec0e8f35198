"""The report as tables of plain text, in colour on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ssmd.reports.columns import COLUMNS, COVERED, Column, Row, remark, rows
from ssmd.reports.comparison import by_feed, joined_outages, loss_note, missing_shards
from ssmd.reports.figures import Figures
from ssmd.reports.top_markets import market_lines
from ssmd.store.manifest import TimeGap
from ssmd.words import duration

__all__ = ["print_report", "print_whole"]

_BARS = "▁▂▃▄▅▆▇█"
_MOST_OUTAGES = 20


def print_report(figures: Sequence[Figures], console: Console, no_data_since: str = "") -> None:
    """Print a table of days for each feed, each followed by its outages.

    `no_data_since`: a sentence for the last line, about an archive without recent data.
    """
    for feed, days in by_feed(figures).items():
        console.print(Text(feed, style="bold"))
        print_whole(_fitting(rows(days), console), console)
        outages = joined_outages(days)
        if outages:
            console.print()
            shown = outages[-_MOST_OUTAGES:]
            print_whole(_outages(shown, missing_shards(days, shown), console), console)
            if len(outages) > _MOST_OUTAGES:
                console.print(f"and {len(outages) - _MOST_OUTAGES} earlier ones")
        if about_markets := list(market_lines(days)):
            console.print()
            for line in about_markets:
                console.print(Text(line, overflow="fold"))
        if note := loss_note(days):
            console.print()
            console.print(Text(note), soft_wrap=True)
        console.print()
    if no_data_since:
        console.print(Text(no_data_since, style="yellow"))


def print_whole(table: Table, console: Console) -> None:
    """Print a table without cutting off any column: where the terminal is too narrow, its lines go on below."""
    width = console.width
    console.width = max(width, _width(table, console))
    console.print(table)
    console.width = width


def _width(table: Table, console: Console) -> int:
    """Return how many columns of a terminal a table needs."""
    return Measurement.get(console, console.options.update(max_width=1000), table).maximum


def _outages(outages: Sequence[TimeGap], shards: Sequence[str], console: Console) -> Table:
    """Return the table of outages, on a narrow terminal with less in it. `shards`: those that were missing in each."""
    also = ("shards",) if any(shards) else ()
    for names, digits in _OUTAGES:
        table = _table((*names, *also), left=("outage from", "to", "cause", *also))
        for outage, missing in zip(outages, shards, strict=True):
            cells = {
                "outage from": outage.from_[:digits],
                "to": outage.to[:digits],
                "lasted": duration(outage.seconds),
                "cause": outage.cause,
                "shards": missing,
            }
            table.add_row(*(cells[name] for name in (*names, *also)))
        if _width(table, console) <= console.width:
            break
    return table


_OUTAGES: Sequence[tuple[Sequence[str], int | None]] = (
    (("outage from", "to", "lasted", "cause"), None),
    (("outage from", "to", "lasted", "cause"), 19),
    (("outage from", "lasted", "cause"), 19),
    (("outage from", "lasted"), 19),
)
"""The columns of the table of outages, and how many characters of each time there are: the widest that fits is used."""


def _hours(row: Row) -> str:
    """Return a bar for each hour of the day."""
    return "".join(_bar(rate / row.highest_rate) if rate else " " for rate in row.day.rates)


def _bar(part: float) -> str:
    return _BARS[min(int(part * len(_BARS)), len(_BARS) - 1)]


_DAY = Column("day", lambda row: row.day.day)
_HOURS = Column("messages by hour", _hours, 6)
_REMARK = Column("", lambda row: remark(row.day), 10)
_ALL = (_DAY, *COLUMNS, COVERED, _HOURS, _REMARK)


def _fitting(found: Sequence[Row], console: Console) -> Table:
    """Return the table of days with as many columns as fit whole: a column that is cut off is worth less than none."""
    table = _days(found, _ALL)
    for least in range(1, 1 + max(column.dropped for column in _ALL)):
        if _width(table, console) <= console.width:
            break
        table = _days(found, [column for column in _ALL if not 0 < column.dropped <= least])
    return table


def _days(found: Sequence[Row], columns: Sequence[Column]) -> Table:
    table = _table([column.name for column in columns], left=(_DAY.name, _HOURS.name, _REMARK.name))
    for row in found:
        table.add_row(*(Text(column.value(row), _style(row) if column is COVERED else "") for column in columns))
    return table


def _style(row: Row) -> str:
    """Return the colour of a day's coverage."""
    day = row.day
    if day.coverage is not None and day.coverage < 99:
        return "red"
    return "yellow" if day.has_lost or day.outages else "green"


def _table(names: Sequence[str], left: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    return table
