"""The report as one HTML page that loads nothing: its style and its charts, in SVG, are part of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from ssmd.reports.columns import COLUMNS, COVERED, Row, remark, rows
from ssmd.reports.comparison import DAYS_BEFORE, by_feed, joined_outages, loss_note, missing_shards
from ssmd.reports.figures import Figures
from ssmd.reports.shards import who_was_missing
from ssmd.reports.top_markets import newest_markets
from ssmd.store.timestamps import day_begins, parse_timestamp, timestamp
from ssmd.words import bytes_text, duration, percent, short_count, short_rate

__all__ = ["page"]

_DAY_SECONDS = 86_400
_MOST_OUTAGES = 100


class Bar(NamedTuple):
    """The messages of one hour. Lengths are parts of the whole, from 0 to 1."""

    x: float
    width: float
    height: float
    title: str


class Segment(NamedTuple):
    """A stretch of a day's time line, in parts of the day."""

    x: float
    width: float
    kind: str
    """`connected`, `out`, `unknown`, or `ahead` for the part of today that is still to come."""
    title: str


class Day(NamedTuple):
    """A row of the table of days: its figures as text, and its chart."""

    day: str
    remark: str
    coverage: str
    grade: str
    """Of the coverage: `good`, `fair`, `poor` or `none`."""
    cells: Sequence[tuple[str, str]]
    """The value and the grade of each of COLUMNS."""
    bars: Sequence[Bar]
    line: Sequence[Segment]


def page(
    figures: Sequence[Figures],
    *,
    now_ns: int,
    storage: str,
    version: str,
    no_data_since: str = "",
    below: Sequence[tuple[str, str, Sequence[str]]] = (),
) -> str:
    """Return the whole document. `no_data_since`: a sentence about an archive without recent data. `below`: what
    follows the feeds, each with a title, the document about it, and its lines.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    feeds = [_feed(feed, days) for feed, days in by_feed(figures).items()]
    days = sorted({each.day for each in figures})
    return template.render(
        feeds=feeds,
        first=days[0] if days else "",
        last=days[-1] if days else "",
        made=timestamp(now_ns)[:16].replace("T", " "),
        no_data_since=no_data_since,
        storage=storage,
        version=version,
        columns=[column.name for column in (COVERED, *COLUMNS)],
        days_before=DAYS_BEFORE,
        below=below,
    )


def _feed(feed: str, days: Sequence[Figures]) -> dict[str, Any]:
    covered = _covered(days)
    outages = joined_outages(days)
    shown = outages[::-1][:_MOST_OUTAGES]
    shards = missing_shards(days, shown)
    table = rows(days)
    return {
        "name": feed,
        "tiles": [
            ("covered", percent(covered), _grade(covered)),
            ("messages lost", *_lost([day for day in days if day.messages])),
            ("outages", *_outages(days, f"{len(outages):,}")),
            ("not connected", *_outages(days, duration(sum(day.seconds_out for day in days)))),
            ("messages", short_count(sum(day.messages for day in days)), "plain"),
            ("data", bytes_text(sum(day.bytes for day in days)), "plain"),
            ("in the busiest second", _busiest(days), "plain"),
        ],
        "days": [_day(row) for row in reversed(table)],
        "highest_rate": short_rate(table[-1].highest_rate),
        "loss_note": loss_note(days),
        "types": _types(days),
        "markets": newest_markets(days),
        "outages": [
            (
                outage.from_[:19].replace("T", " "),
                outage.to[:19].replace("T", " "),
                duration(outage.seconds),
                outage.cause,
                missing,
            )
            for outage, missing in zip(shown, shards, strict=True)
        ],
        "has_shards": any(shards),
        "has_closed": any(day.closed for day in days),
        "more_outages": max(len(outages) - _MOST_OUTAGES, 0),
    }


def _busiest(days: Sequence[Figures]) -> str:
    """Return the most messages in one second, and the day of it, as far as it is known."""
    known = [(day.peak_second, day.day) for day in days if day.peak_second is not None]
    if not any(count for count, _ in known):
        return "?" if len(known) < len(days) else "0"
    most, day = max(known)
    at_least = "at least " if len(known) < len(days) else ""
    return f"{at_least}{most:,}" + (f" on {day[5:]}" if len(days) > 1 else "")


def _lost(days: Sequence[Figures]) -> tuple[str, str]:
    """Return how many messages were lost, as far as it is known, as text, and the grade of that."""
    found = sum(day.missing or 0 for day in days)
    grade = "fair" if any(day.has_lost for day in days) else "good"
    if all(day.missing is not None for day in days):
        return f"{found:,}", grade
    return f"at least {found:,}" if found else "?", "plain" if grade == "good" else grade


def _outages(days: Sequence[Figures], text: str) -> tuple[str, str]:
    """Return the text about the outages of some days as far as it is known, and its grade."""
    if any(day.outages for day in days):
        return text, "fair"
    return ("?", "plain") if all(day.coverage is None for day in days) else (text, "good")


def _covered(days: Sequence[Figures]) -> float | None:
    """Return the coverage of all days together, None when that of none is known."""
    known = [(day.coverage, day.open_ns) for day in days if day.coverage is not None and day.open_ns]
    if not known:
        return None
    if all(coverage == 100 for coverage, _ in known):
        return 100.0  # The mean of many may be computed as 99.99999999999999.
    return sum(coverage * ns for coverage, ns in known) / sum(ns for _, ns in known)


def _day(row: Row) -> Day:
    day = row.day
    return Day(
        day=day.day,
        remark=remark(day),
        coverage=COVERED.value(row),
        grade=_grade(day.coverage),
        cells=[(column.value(row), column.grade(row)) for column in COLUMNS],
        bars=[
            Bar(
                hour / 24,
                min(1 / 24, max(day.known_ns / 1e9 / _DAY_SECONDS - hour / 24, 0.006)),
                rate / row.highest_rate if row.highest_rate else 0,
                f"{hour:02}:00 · {count:,} messages, {short_rate(rate)}",
            )
            for hour, (count, rate) in enumerate(zip(day.by_hour, day.rates, strict=True))
            if count
        ],
        line=_line(day),
    )


def _line(day: Figures) -> list[Segment]:
    known = day.known_ns / 1e9 / _DAY_SECONDS
    base = "unknown" if day.coverage is None else "connected" if day.coverage or day.outages else "out"
    titles = {"unknown": "not known: no ledger says it", "connected": "connected", "out": "no data"}
    line = [Segment(0, known, base, titles[base])]
    if known < 1:
        line.append(Segment(known, 1 - known, "ahead", "not over yet"))
    begin = day_begins(day.day)
    for closed in day.closed:
        x = (parse_timestamp(closed.from_) - begin) / 1e9 / _DAY_SECONDS
        title = f"{closed.from_[11:19]} to {closed.to[11:19]}: closed by schedule"
        line.append(Segment(x, closed.seconds / _DAY_SECONDS, "closed", title))
    for outage in day.outages:
        x = (parse_timestamp(outage.from_) - begin) / 1e9 / _DAY_SECONDS
        span = f"{outage.from_[11:19]} to {outage.to[11:19]}"
        missing = who_was_missing(outage, day.absences)
        title = f"{span}: not connected for {duration(outage.seconds)}, {outage.cause}"
        title += f"; shards: {missing}" if missing else ""
        # An outage that would be too short to see is drawn wider.
        line.append(Segment(x, max(outage.seconds / _DAY_SECONDS, 0.005), "out", title))
    return line


def _types(days: Sequence[Figures]) -> list[tuple[str, str, float]]:
    """Return the most frequent types of messages, each with its count as text and its part of all messages."""
    counts: dict[str, int] = {}
    for day in days:
        for name, count in day.by_type.items():
            counts[name] = counts.get(name, 0) + count
    whole = sum(counts.values())
    found = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:8]
    return [(name or "without a type", f"{count:,}", count / whole) for name, count in found]


def _grade(coverage: float | None) -> str:
    if coverage is None:
        return "none"
    return "poor" if coverage < 99 else "fair" if coverage < 100 else "good"
