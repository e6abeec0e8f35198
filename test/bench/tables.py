"""The tables, one or more for each measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from bench.latency import percentile
from bench.load import Load
from bench.markdown import table
from bench.measure import Result
from bench.plan import Case, Outcome

__all__ = ["TABLES"]

BEHIND = 0.97
"""A collector that writes less than this share of the rate is too slow for it."""
COARSE_MS = 0.1
"""Times with a larger step than this are marked as inexact."""

Rows = Sequence[tuple[Case, Outcome]]


def _saturation(rows: Rows) -> str:
    return "### At saturation\n\n" + _rates(rows)


def _paced(rows: Rows) -> str:
    parts = []
    header = ["collector", "CPU %", "of ssmd's", "stamp p50 ms", "stamp p99 ms", "p50 ms", "p99 ms", "p99.9 ms"]
    header.append("memory MB")
    for rate in dict.fromkeys(case.load.rate for case, _ in rows):
        here = [(case, outcome) for case, outcome in rows if case.load.rate == rate]
        base = _base(here)
        cells = []
        for case, outcome in here:
            if outcome.results and outcome.median(lambda result: result.rate) < BEHIND * rate:
                times = ["behind"] * 5
            else:
                times = _times(outcome)
            cpu = _number(outcome, lambda result: result.cpu_percent, "{:.1f}")
            ratio = _ratio(outcome, base, lambda result: result.cpu_percent)
            cells.append(
                [case.collector, cpu, ratio, *times, _number(outcome, lambda result: result.rss_mb, "{:.0f}")]
            )
        parts.append(f"### At {rate:,.0f} messages a second\n\n" + table(header, cells))
    return "\n\n".join(parts)


def _health(rows: Rows) -> str:
    cells = []
    for case, outcome in rows:
        times = [time for result in outcome.results for time in result.health_ms]
        shares = [f"{percentile(times, share):.1f}" for share in (0.5, 0.99, 1)]
        cells.append([case.collector, str(len(times)), *shares])
    return "### /health at saturation\n\n" + table(["collector", "requests", "p50 ms", "p99 ms", "worst ms"], cells)


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
    return table(header, cells)


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
    return f"{title}\n\n" + table(header, cells)


def _base(rows: Rows) -> Outcome | None:
    return next((outcome for case, outcome in rows if case.collector == "ssmd" and outcome.results), None)


def _rate(outcome: Outcome, base: Outcome | None) -> list[str]:
    def rate(result: Result) -> float:
        return result.rate

    rates = [result.rate for result in outcome.results]
    spread = f"{(max(rates) - min(rates)) / outcome.median(rate) * 100:.0f} %" if rates else ""
    return [_number(outcome, rate, "{:,.0f}"), _ratio(outcome, base, rate), spread]


def _times(outcome: Outcome) -> list[str]:
    """Return the cells of the two columns about stamps, and of the three about lines in the file."""
    coarse = any(result.stamp_step_ms > COARSE_MS for result in outcome.results)
    form = "~{:.1f}" if coarse else "{:.2f}"
    stamps = [_number(outcome, partial(_stamp_ms, index=index), form) for index in range(2)]
    return stamps + [_number(outcome, partial(_latency_ms, index=index), "{:.2f}") for index in range(3)]


def _stamp_ms(result: Result, index: int) -> float:
    return result.stamp_ms[index]


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
