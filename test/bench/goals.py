"""The goals, compared with the figures of one run. A goal whose rows were not measured is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench.collector import DESCRIBED, GENERIC
from bench.latency import percentile
from bench.load import Load
from bench.peers import READER
from bench.plan import Case, Outcome

__all__ = ["LIMITS", "Judgement", "judge"]

Outcomes = Mapping[Case, Outcome]

RSS_MB = 60
HEALTH_MS = 50
LATENCY_MS = 5
DESCRIBED_PERCENT = 60
"""How much more CPU a message may cost when its type, time and number are read."""


LIMITS = {
    "saturation": "one core: two fifths of it check the messages, a quarter cuts frames, a sixth makes lines",
    "described": "one core: the decoder makes an object of each message, and each number is compared in Python",
    "tls": "CPU: OpenSSL decrypts each record by itself, and Python asks for each; the rest is as at saturation",
    "cpu": "each wake-up costs more than its messages do; most of that is passing the write to a thread",
    "latency": "the rounds were disturbed, or the wake-ups wait for each other",
    "memory": "the libraries take about 50 MB before the first message, and the queue comes on top",
    "health": "a batch is read and written without a pause",
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
    yield from _faster(outcomes, Load(), "picows, tuned", 2.5, "At saturation")
    yield from _faster(outcomes, Load(), "picows, orjson", 2.5, "At saturation")
    yield from _faster(outcomes, Load(), "websocat", 2.0, "At saturation")
    yield from _faster(outcomes, Load(), READER, 1 / 5, "At saturation")
    yield from _described(outcomes)
    yield from _faster(outcomes, Load(tls="message"), "aiohttp, tuned", 1.5, "TLS, a record for each message:")
    for rate in (10_000, 50_000):
        yield from _paced(outcomes, Load(rate=rate))
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


def _faster(outcomes: Outcomes, load: Load, other: str, least: float, where: str) -> Iterator[Judgement]:
    measure = "tls" if load.tls else "saturation"
    mine, theirs = (outcomes.get(Case(measure, name, load)) for name in ("ssmd", other))
    if not _usable(mine, theirs):
        return
    ratio = mine.median(lambda result: result.rate) / theirs.median(lambda result: result.rate)
    cpu = theirs.median(lambda result: result.cpu_us) / mine.median(lambda result: result.cpu_us)
    if least < 1:
        goal = f"{where} at most {1 / least:g} times slower than the {other}"
        yield Judgement(
            goal, f"{1 / ratio:.1f} times slower; {1 / cpu:.1f} times the CPU a message", ratio >= least, measure
        )
    else:
        goal = f"{where} at least {least:g} times {other}"
        yield Judgement(goal, f"{ratio:.2f} times; by CPU a message {cpu:.2f} times", ratio >= least, measure)


def _described(outcomes: Outcomes) -> Iterator[Judgement]:
    bare, described = (outcomes.get(Case("saturation", name, Load())) for name in (GENERIC, DESCRIBED))
    if _usable(bare, described):
        cpu = described.median(lambda result: result.cpu_us) / bare.median(lambda result: result.cpu_us)
        goal = f"Generic with paths of type, time and sequence: at most {DESCRIBED_PERCENT} % more CPU than without"
        figure = f"{(cpu - 1) * 100:+.0f} %"
        yield Judgement(goal, figure, cpu <= 1 + DESCRIBED_PERCENT / 100, "described")


def _paced(outcomes: Outcomes, load: Load) -> Iterator[Judgement]:
    mine, theirs = (outcomes.get(Case("paced", name, load)) for name in ("ssmd", "picows, tuned"))
    at = f"At {load.rate:,.0f} msg/s"
    if _usable(mine, theirs):
        own, other = (each.median(lambda result: result.cpu_percent) for each in (mine, theirs))
        goal = f"{at} no more CPU than picows, tuned"
        yield Judgement(goal, f"{own:.1f} % against {other:.1f} %", own <= other, "cpu")
    if mine and mine.results:
        p99 = mine.median(lambda result: result.latency_ms[1])
        reached = not math.isnan(p99) and p99 < LATENCY_MS
        yield Judgement(f"{at} p99 latency under {LATENCY_MS} ms", f"{p99:.2f} ms", reached, "latency")


def _usable(*outcomes: Outcome | None) -> bool:
    return all(outcome and outcome.results for outcome in outcomes)
