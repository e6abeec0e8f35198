"""The report as one page of HTML that loads nothing: its style and its charts, in SVG, are part of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from ssmd.reports import comparison
from ssmd.reports.comparison import by_feed, change, duration, note, percent, short_bytes, short_count, short_rate
from ssmd.reports.figures import Figures
from ssmd.store.timestamps import day_begins, parse_timestamp, timestamp

__all__ = ["page"]

_DAY_SECONDS = 86_400
_MOST_OUTAGES = 100


class Bar(NamedTuple):
    """The messages of one hour; lengths are parts of the whole, from 0 to 1."""

    x: float
    width: float
    height: float
    title: str


class Segment(NamedTuple):
    """A stretch of a day's line of time, in parts of the day."""

    x: float
    width: float
    kind: str
    """`heard`, `out`, `unknown`, or `ahead` for what is still to come."""
    title: str


class Day(NamedTuple):
    """A row: the figures of a day as words, and its chart."""

    day: str
    note: str
    cells: Sequence[tuple[str, str]]
    """As words, each with its grade: `fair` for what is not as it should be, `faint` for nothing, or empty."""
    coverage: str
    grade: str
    """`good`, `fair`, `poor` or `none`."""
    bars: Sequence[Bar]
    line: Sequence[Segment]


COLUMNS = ("messages", "change", "bytes", "on disk", "mean", "peak hour", "gaps", "missing", "outages", "lasted")


def page(figures: Sequence[Figures], *, now_ns: int, storage: str, version: str, silent: str = "") -> str:
    """The whole document. `silent`: that there is no data since, if not shown."""
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
        silent=silent,
        storage=storage,
        version=version,
        columns=COLUMNS,
        days_before=comparison.DAYS_BEFORE,
    )


def _feed(feed: str, days: Sequence[Figures]) -> dict[str, Any]:
    known = [day for day in days if day.coverage is not None]
    known_ns = sum(day.known_ns for day in known)
    covered = sum((day.coverage or 0) * day.known_ns for day in known) / known_ns if known_ns else None
    outages = [outage for day in days for outage in day.outages]
    missing = sum(day.missing for day in days)
    top = max((rate for day in days for rate in day.rates), default=0.0)
    return {
        "name": feed,
        "tiles": [
            ("covered", percent(covered), _grade(covered)),
            ("missing messages", f"{missing:,}", "fair" if missing else "good"),
            ("outages", f"{len(outages):,}", "fair" if outages else "good"),
            ("not listening", duration(sum(day.seconds_out for day in days)), "fair" if outages else "good"),
            ("messages", short_count(sum(day.messages for day in days)), "plain"),
            ("data", short_bytes(sum(day.bytes for day in days)), "plain"),
        ],
        "days": [_day(days, place, top) for place in range(len(days))][::-1],
        "top": short_rate(top),
        "types": _types(days),
        "outages": [
            (
                outage.from_[:19].replace("T", " "),
                outage.to[:19].replace("T", " "),
                duration(outage.seconds),
                outage.cause,
            )
            for outage in outages[::-1][:_MOST_OUTAGES]
        ],
        "more_outages": max(len(outages) - _MOST_OUTAGES, 0),
    }


def _day(days: Sequence[Figures], place: int, top: float) -> Day:
    day = days[place]
    more = change(days, place)
    return Day(
        day=day.day,
        note=note(day),
        cells=(
            (f"{day.messages:,}", ""),
            ("" if more is None else f"{more:+.0f} %", ""),
            (short_bytes(day.bytes), ""),
            (short_bytes(day.stored_bytes), ""),
            (short_rate(day.messages * 1e9 / day.known_ns if day.known_ns else 0), ""),
            (short_rate(max(day.rates)), ""),
            (f"{day.sequence_gaps:,}", "fair" if day.sequence_gaps else "faint"),
            (f"{day.missing:,}", "fair" if day.missing else "faint"),
            (f"{len(day.outages):,}", "fair" if day.outages else "faint"),
            (duration(day.seconds_out) if day.outages else "", "fair"),
        ),
        coverage=percent(day.coverage),
        grade=_grade(day.coverage),
        bars=[
            Bar(
                hour / 24,
                min(1 / 24, max(day.known_ns / 1e9 / _DAY_SECONDS - hour / 24, 0.006)),
                rate / top if top else 0,
                f"{hour:02}:00 · {count:,} messages, {short_rate(rate)}",
            )
            for hour, (count, rate) in enumerate(zip(day.by_hour, day.rates, strict=True))
            if count
        ],
        line=_line(day),
    )


def _line(day: Figures) -> list[Segment]:
    known = day.known_ns / 1e9 / _DAY_SECONDS
    base = "unknown" if day.coverage is None else "heard" if day.coverage or day.outages else "out"
    titles = {"unknown": "no ledger: not known", "heard": "listening", "out": "no data"}
    line = [Segment(0, known, base, titles[base])]
    if known < 1:
        line.append(Segment(known, 1 - known, "ahead", "not over yet"))
    begin = day_begins(day.day)
    for outage in day.outages:
        x = (parse_timestamp(outage.from_) - begin) / 1e9 / _DAY_SECONDS
        span = f"{outage.from_[11:19]} to {outage.to[11:19]}"
        title = f"{span}: nobody listened for {duration(outage.seconds)}, {outage.cause}"
        # What is too short to be seen is drawn as wide as can be.
        line.append(Segment(x, max(outage.seconds / _DAY_SECONDS, 0.005), "out", title))
    return line


def _types(days: Sequence[Figures]) -> list[tuple[str, str, float]]:
    """The commonest types of messages, how many there are, and their part of all."""
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
