"""The report as tables of plain text, in colour on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ssmd.reports.comparison import by_feed, change, duration, note, percent, short_bytes, short_rate
from ssmd.reports.figures import Figures

__all__ = ["print_report"]

_BARS = "▁▂▃▄▅▆▇█"
_LEFT = ("day", "messages by hour", "")
_MOST_OUTAGES = 20
_DISPENSABLE = (
    "on disk",
    "peak",
    "change",
    "mean",
    "lasted",
    "messages by hour",
    "bytes",
    "gaps",
    "outages",
    "",
    "missing",
)
"""Columns that a narrow terminal goes without, the first ones first."""


def print_report(figures: Sequence[Figures], console: Console, silent: str = "") -> None:
    """A table of days for each feed, and below it the outages. `silent`: that there is no data since, if not shown."""
    for feed, days in by_feed(figures).items():
        console.print(Text(feed, style="bold"))
        console.print(_fitting(days, console))
        outages = [(day.day, outage) for day in days for outage in day.outages]
        if outages:
            console.print()
            table = _table("outage from", "to", "lasted", "cause")
            for _, outage in outages[-_MOST_OUTAGES:]:
                table.add_row(outage.from_, outage.to, duration(outage.seconds), outage.cause)
            console.print(table)
            if len(outages) > _MOST_OUTAGES:
                console.print(f"and {len(outages) - _MOST_OUTAGES} earlier ones")
        console.print()
    if silent:
        console.print(Text(silent, style="yellow"))


def _fitting(days: Sequence[Figures], console: Console) -> Table:
    """With as many columns as have room: none is worth more than one that is cut off."""
    unbounded = console.options.update(max_width=1000)
    table = _days(days, ())
    for count in range(1, len(_DISPENSABLE) + 1):
        if Measurement.get(console, unbounded, table).maximum <= console.width:
            break
        table = _days(days, _DISPENSABLE[:count])
    return table


def _days(days: Sequence[Figures], without: Sequence[str]) -> Table:
    numbers = (
        "messages",
        "change",
        "bytes",
        "on disk",
        "mean",
        "peak",
        "gaps",
        "missing",
        "outages",
        "lasted",
        "covered",
    )
    names = ("day", *numbers, "messages by hour", "")
    places = [place for place, name in enumerate(names) if name not in without]
    table = _table(*(names[place] for place in places))
    top = max((rate for day in days for rate in day.rates), default=0.0)
    for place, day in enumerate(days):
        more = change(days, place)
        bad = bool(day.missing or day.outages) or day.coverage == 0
        style = "red" if day.coverage is not None and day.coverage < 99 else "yellow" if bad else "green"
        cells = (
            day.day,
            f"{day.messages:,}",
            "" if more is None else f"{more:+.0f} %",
            short_bytes(day.bytes),
            short_bytes(day.stored_bytes),
            short_rate(day.messages * 1e9 / day.known_ns if day.known_ns else 0),
            short_rate(max(day.rates)),
            f"{day.sequence_gaps:,}",
            f"{day.missing:,}",
            f"{len(day.outages):,}",
            duration(day.seconds_out) if day.outages else "",
            Text(percent(day.coverage), style=style),
            "".join(_bar(rate, top) for rate in day.rates),
            note(day),
        )
        table.add_row(*(cells[place] for place in places))
    return table


def _bar(rate: float, top: float) -> str:
    return _BARS[min(int(rate / top * len(_BARS)), len(_BARS) - 1)] if rate else " "


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, justify="left" if name in _LEFT or name in ("to", "cause", "outage from") else "right",
                         no_wrap=True)  # fmt: skip
    return table
