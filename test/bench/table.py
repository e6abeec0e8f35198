"""The tables, in Markdown that is also readable in a terminal."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.goals import LIMITS, Judgement, judge
from bench.latency import percentile
from bench.load import Load
from bench.measure import Result
from bench.peers import SINK
from bench.plan import MEASURES, Case, Outcome, Plan

__all__ = ["insert", "report"]

BEGIN, END = "<!-- results: written by bin/bench --out -->", "<!-- end of results -->"
BUSY_PERCENT = 85
"""A collector at saturation takes a whole core. When it got less than this, other processes took the rest."""
BEHIND = 0.97
"""A collector that writes less than this share of the rate is too slow for it."""

Rows = Sequence[tuple[Case, Outcome]]


def report(plan: Plan, rounds: int, seconds: float) -> str:
    """Return all tables, the goals first."""
    parts = [_heading(rounds, seconds)]
    judgements = list(judge(plan.outcomes))
    if judgements:
        parts.append("### Goals\n\n" + _goals(judgements))
    for measure in MEASURES:
        rows = [(case, outcome) for case, outcome in plan.outcomes.items() if case.measure == measure]
        if rows:
            parts.append(TABLES[measure](rows))
    notes = [f"- {name} was skipped: {why}." for name, why in plan.missing.items()]
    for case, outcome in plan.outcomes.items():
        if outcome.fault:
            notes.append(f"- {case.collector} ({case.measure}) FAILED: {outcome.fault}")
    notes += _busy(plan)
    if notes:
        parts.append("### Notes\n\n" + "\n".join(notes))
    return "\n\n".join(parts) + "\n"


def insert(path: Path, text: str) -> None:
    """Replace what is between the marks of a document, or write a new file."""
    if path.exists() and BEGIN in (old := path.read_text()):
        before, _, rest = old.partition(BEGIN)
        text = f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"
    path.write_text(text)


def _goals(judgements: Sequence[Judgement]) -> str:
    rows = [[one.goal, one.figure, "reached" if one.reached else "**NOT reached**"] for one in judgements]
    table = _table(["goal", "in this run", ""], rows)
    limits = [f"- {one.goal}: {LIMITS[one.limit]}." for one in judgements if not one.reached]
    return "\n".join([table, "", "What stands in the way:", "", *limits] if limits else [table])


def _heading(rounds: int, seconds: float) -> str:
    cores = len(os.sched_getaffinity(0))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {_machine()} with {cores} cores, {_cpu()}, Linux "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}: medians of {rounds} rounds of "
        f"{seconds:g} s each."
    )


def _machine() -> str:
    try:
        virtual = re.search(r"^flags\s*:.*\bhypervisor\b", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        virtual = None
    return "a virtual machine" if virtual else "a machine"


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.machine()


def _busy(plan: Plan) -> list[str]:
    shares = [
        result.cpu_percent
        for case, outcome in plan.outcomes.items()
        if case.measure == "saturation" and case.collector != SINK
        for result in outcome.results
    ]
    low = sum(share < BUSY_PERCENT for share in shares)
    if low * 4 < len(shares) or not shares:
        return []
    return [
        f"- **The machine was busy**: in {low} of {len(shares)} runs at saturation the collector got less than "
        f"{BUSY_PERCENT} % of a core. Rates and latencies then say little; CPU per message says more."
    ]


def _saturation(rows: Rows) -> str:
    return "### At saturation\n\n" + _rates(rows)


def _paced(rows: Rows) -> str:
    parts = []
    header = ["collector", "CPU %", "of ssmd's", "p50 ms", "p99 ms", "p99.9 ms", "memory MB"]
    for rate in dict.fromkeys(case.load.rate for case, _ in rows):
        here = [(case, outcome) for case, outcome in rows if case.load.rate == rate]
        base = _base(here)
        cells = []
        for case, outcome in here:
            late = bool(outcome.results) and outcome.median(lambda result: result.rate) < BEHIND * rate
            latency = [
                "behind" if late else _number(outcome, partial(_latency_ms, index=index), "{:.2f}")
                for index in range(3)
            ]
            cpu = _number(outcome, lambda result: result.cpu_percent, "{:.1f}")
            ratio = _ratio(outcome, base, lambda result: result.cpu_percent)
            cells.append(
                [case.collector, cpu, ratio, *latency, _number(outcome, lambda result: result.rss_mb, "{:.0f}")]
            )
        parts.append(f"### At {rate:,.0f} messages a second\n\n" + _table(header, cells))
    return "\n\n".join(parts)


def _health(rows: Rows) -> str:
    cells = []
    for case, outcome in rows:
        times = [time for result in outcome.results for time in result.health_ms]
        shares = [f"{percentile(times, share):.1f}" for share in (0.5, 0.99, 1)]
        cells.append([case.collector, str(len(times)), *shares])
    return "### /health at saturation\n\n" + _table(["collector", "requests", "p50 ms", "p99 ms", "worst ms"], cells)


def _tls(rows: Rows) -> str:
    titles = {"message": "TLS, a record for each message", "full": "TLS, full records"}
    return "\n\n".join(
        f"### {titles[records]}\n\n{_rates([row for row in rows if row[0].load.tls == records])}"
        for records in dict.fromkeys(case.load.tls for case, _ in rows)
    )


def _sizes(rows: Rows) -> str:
    return _grown(rows, "### By size of the messages", "bytes", lambda load: load.size)


def _sids(rows: Rows) -> str:
    return _grown(rows, "### By number of subscriptions", "sids", lambda load: load.sids)


TABLES: dict[str, Callable[[Rows], str]] = {
    "saturation": _saturation,
    "paced": _paced,
    "health": _health,
    "tls": _tls,
    "sizes": _sizes,
    "sids": _sids,
}


def _rates(rows: Rows) -> str:
    base = _base(rows)
    header = ["collector", "msg/s", "of ssmd's", "spread", "CPU us/msg", "of ssmd's", "memory MB", "first line ms"]
    cells = [
        [
            case.collector,
            *_rate(outcome, base),
            _number(outcome, lambda result: result.cpu_us, "{:.2f}"),
            _ratio(outcome, base, lambda result: result.cpu_us),
            _number(outcome, lambda result: result.rss_mb, "{:.0f}"),
            _number(outcome, lambda result: result.start_ms, "{:.0f}"),
        ]
        for case, outcome in rows
    ]
    return _table(header, cells)


def _grown(rows: Rows, title: str, name: str, key: Callable[[Load], int]) -> str:
    header = [name, "collector", "msg/s", "of ssmd's", "spread", "CPU us/msg", "of ssmd's", "MB/s", "memory MB"]
    cells = []
    for case, outcome in rows:
        base = _base([row for row in rows if key(row[0].load) == key(case.load)])
        cells.append([
            f"{key(case.load):,}",
            case.collector,
            *_rate(outcome, base),
            _number(outcome, lambda result: result.cpu_us, "{:.2f}"),
            _ratio(outcome, base, lambda result: result.cpu_us),
            _number(outcome, partial(_megabytes_per_second, size=case.load.size or 271), "{:,.0f}"),
            _number(outcome, lambda result: result.rss_mb, "{:.0f}"),
        ])  # fmt: skip
    return f"{title}\n\n" + _table(header, cells)


def _base(rows: Rows) -> Outcome | None:
    return next((outcome for case, outcome in rows if case.collector == "ssmd" and outcome.results), None)


def _rate(outcome: Outcome, base: Outcome | None) -> list[str]:
    def rate(result: Result) -> float:
        return result.rate

    rates = [result.rate for result in outcome.results]
    spread = f"{(max(rates) - min(rates)) / outcome.median(rate) * 100:.0f} %" if rates else ""
    return [_number(outcome, rate, "{:,.0f}"), _ratio(outcome, base, rate), spread]


def _latency_ms(result: Result, index: int) -> float:
    return result.latency_ms[index]


def _megabytes_per_second(result: Result, size: int) -> float:
    return result.rate * size / 1e6


def _number(outcome: Outcome, value: Callable[[Result], float], form: str) -> str:
    if outcome.failure:
        return "failed"
    median = outcome.median(value)
    return "" if math.isnan(median) else form.format(median)


def _ratio(outcome: Outcome, base: Outcome | None, value: Callable[[Result], float]) -> str:
    if base is None or not outcome.results:
        return ""
    return f"{outcome.median(value) / base.median(value):.2f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown with aligned columns; columns of numbers are aligned to the right."""
    rows = list(rows)
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    right = [
        bool(rows) and all(re.fullmatch(r"[\d.,]+( %)?|behind|failed|", row[column]) for row in rows)
        for column in range(len(header))
    ]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * (width - 1)}:" if to_right else "-" * width for width, to_right in zip(widths, right, strict=True)]
    return "\n".join([line(header), line(rule), *map(line, rows)])
