"""The goals, compared with the figures of one run. A goal whose rows were not measured is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench.collector import DESCRIBED, GENERIC
from bench.latency import percentile
from bench.load import Load
from bench.observing import CHECKED, DRIFT_ALL, DRIFT_SAMPLE
from bench.peers import READER
from bench.plan import RATES, SLOW_RATE, Case, Outcome

__all__ = ["LIMITS", "Judgement", "judge"]

Outcomes = Mapping[Case, Outcome]

SLOW_PERCENT = 1.0
"""The CPU time at SLOW_RATE, in % of a core."""
CPU_RATIOS = {1_000: 1.3, 10_000: 0.7, 50_000: 0.5}
"""By rate, how many times the CPU time of picows, tuned."""
STAMP_P50_MS = {1_000: 0.15, 10_000: 0.35}
"""By rate, the time from sending to the time in the line."""
STAMP_P99_MS = 2.0
LINE_P99_MS = 15.0
"""From sending to the line in the file, at any rate."""
RSS_MB = 60
HEALTH_MS = 50
MORE_PERCENT = {
    (GENERIC, DESCRIBED): (60, "Generic with paths of type, time and sequence", "described"),
    ("ssmd", CHECKED): (25, "At saturation with each message checked against Kalshi's schema", "checked"),
    ("ssmd", DRIFT_SAMPLE): (5, "At saturation with messages compared with the days before, `sample`", "drift"),
    ("ssmd", DRIFT_ALL): (5, "At saturation with messages compared with the days before, `all`", "drift"),
}
"""By two collectors, how much more CPU a message may cost with the second; what to call that; a key of LIMITS."""

LIMITS = {
    "saturation": "One core: a quarter of it is the kernel's, to read and write, a quarter checks the messages, "
    "a sixth cuts frames, and an eighth makes lines",
    "described": "One core: the decoder makes an object of each message, and each number is compared in Python",
    "checked": "The decoder makes an object of each field that is checked, where it otherwise skips them",
    "drift": "With `all`, the decoder makes an object of each value, to see of which type of JSON it is",
    "tls": "CPU: OpenSSL decrypts each record by itself, and Python asks for each; the rest is as at saturation",
    "cpu": "The wake-ups cost, not the messages: one for each read, and up to 100 a second for the thread that writes",
    "stamp": "The message waits while the reader pauses or works, or the process does not get the core",
    "line": "What was read is worked on together once in 10 ms, and a slow disk delays the write",
    "memory": "The libraries take about 50 MB before the first message, and the queue comes on top",
    "health": "A batch is read and written without a pause",
}
"""What keeps ssmd from a goal, as profiles show; printed when the goal is not reached."""


class Judgement(NamedTuple):
    goal: str
    figure: str
    """The figure of this run, with its unit."""
    reached: bool
    limit: str
    """What keeps ssmd from the goal; a key of LIMITS."""


def judge(outcomes: Outcomes) -> Iterator[Judgement]:
    for rate in RATES:
        yield from _cpu(outcomes, rate)
    for rate in RATES:
        yield from _stamp(outcomes, rate)
    yield from _line(outcomes)
    yield from _cheaper(outcomes, Load(), "picows, tuned", 1.25)
    yield from _cheaper(outcomes, Load(), "picows, orjson", 2.0)
    yield from _cheaper(outcomes, Load(), "websocat", 1.0)
    yield from _cheaper(outcomes, Load(), READER, 1 / 5)
    yield from _cheaper(outcomes, Load(tls="message"), "aiohttp, tuned", 1.5)
    for (plain, more), demand in MORE_PERCENT.items():
        yield from _more(outcomes, plain, more, *demand)
    own = {case: outcome for case, outcome in outcomes.items() if case.collector == "ssmd" and outcome.results}
    if own:
        most = max(result.rss_mb for outcome in own.values() for result in outcome.results)
        goal = f"Memory under {RSS_MB} MB everywhere"
        yield Judgement(goal, f"{most:.0f} MB at the most", most < RSS_MB, "memory")
    for case, outcome in own.items():
        if case.measure == "health":
            times = [time for result in outcome.results for time in result.health_ms]
            p99 = percentile(times, 0.99)
            goal = f"`/health` p99 under {HEALTH_MS} ms at saturation"
            yield Judgement(goal, f"{p99:.1f} ms of {len(times)} requests", p99 < HEALTH_MS, "health")


def _cpu(outcomes: Outcomes, rate: int) -> Iterator[Judgement]:
    """Judge the CPU time at a rate: of a core at the lowest one, and beside picows, tuned at the others."""
    mine, theirs = (_measured(outcomes, Case("paced", name, Load(rate=rate))) for name in ("ssmd", "picows, tuned"))
    own, other = (each.median(lambda result: result.cpu_percent) if each else None for each in (mine, theirs))
    if own is not None and rate == SLOW_RATE:
        figure = f"{own:.2f} %" + (f", beside {other:.2f} % of picows, tuned" if other is not None else "")
        yield Judgement(f"At {rate:,} msg/s under {SLOW_PERCENT:g} % of a core", figure, own < SLOW_PERCENT, "cpu")
    elif own is not None and other is not None:
        goal = f"At {rate:,} msg/s at most {CPU_RATIOS[rate]:g} times the CPU of picows, tuned"
        figure = f"{own / other:.2f} times: {own:.1f} % against {other:.1f} %"
        yield Judgement(goal, figure, own <= CPU_RATIOS[rate] * other, "cpu")


def _stamp(outcomes: Outcomes, rate: int) -> Iterator[Judgement]:
    """Judge how late the time in a line is, after the sending of its message."""
    mine = _measured(outcomes, Case("paced", "ssmd", Load(rate=rate)))
    if mine is None:
        return
    at = f"At {rate:,} msg/s stamped"
    p50, p99 = mine.median(lambda result: result.stamp_ms[0]), mine.median(lambda result: result.stamp_ms[1])
    if (most := STAMP_P50_MS.get(rate)) is not None:
        yield Judgement(f"{at} within {most:g} ms of sending, p50", f"{p50:.3f} ms", p50 <= most, "stamp")
    yield Judgement(f"{at} within {STAMP_P99_MS:g} ms of sending, p99", f"{p99:.2f} ms", p99 <= STAMP_P99_MS, "stamp")


def _line(outcomes: Outcomes) -> Iterator[Judgement]:
    """Judge how late the lines are in the file, at the rate where they are latest."""
    found = {rate: _measured(outcomes, Case("paced", "ssmd", Load(rate=rate))) for rate in RATES}
    times = {rate: mine.median(lambda result: result.latency_ms[1]) for rate, mine in found.items() if mine}
    if times:
        worst = max(times, key=times.__getitem__)
        goal = f"In the file within {LINE_P99_MS:g} ms of sending, p99, at any rate"
        figure = f"{times[worst]:.1f} ms at the most, at {worst:,} msg/s"
        yield Judgement(goal, figure, all(time < LINE_P99_MS for time in times.values()), "line")


def _cheaper(outcomes: Outcomes, load: Load, other: str, least: float) -> Iterator[Judgement]:
    """Judge the CPU time that a message takes at saturation: that of the other has to be at least so many times it.

    The rate is shown too, but it also depends on how much of the core the other processes leave.
    """
    measure, where = ("tls", "TLS, a record for each message:") if load.tls else ("saturation", "At saturation")
    mine, theirs = (_measured(outcomes, Case(measure, name, load)) for name in ("ssmd", other))
    if mine is None or theirs is None:
        return
    cpu = theirs.median(lambda result: result.cpu_us) / mine.median(lambda result: result.cpu_us)
    rate = mine.median(lambda result: result.rate) / theirs.median(lambda result: result.rate)
    if least < 1:
        goal, figure = f"{where} at most {1 / least:g} times the CPU a message of the {other}", f"{1 / cpu:.1f} times"
    elif least == 1:
        goal, figure = f"{where} no more CPU a message than {other}", f"{cpu:.2f} times as cheap"
    else:
        goal, figure = f"{where} at least {least:g} times {other}, by CPU a message", f"{cpu:.2f} times"
    yield Judgement(goal, f"{figure}; by rate {rate:.2f} times", cpu >= least, measure)


def _more(outcomes: Outcomes, plain: str, more: str, most: float, what: str, limit: str) -> Iterator[Judgement]:
    """Judge how much more CPU a message costs with one collector than with another, in percent of the latter."""
    bare, with_more = (_measured(outcomes, Case("saturation", name, Load())) for name in (plain, more))
    if bare and with_more:
        cpu = with_more.median(lambda result: result.cpu_us) / bare.median(lambda result: result.cpu_us)
        goal = f"{what}: at most {most:g} % more CPU than without"
        yield Judgement(goal, f"{(cpu - 1) * 100:+.0f} %", cpu <= 1 + most / 100, limit)


def _measured(outcomes: Outcomes, case: Case) -> Outcome | None:
    """Return the outcome of a case; None when it was not measured, or failed."""
    outcome = outcomes.get(case)
    return outcome if outcome and outcome.results else None
