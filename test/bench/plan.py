"""What is measured: the cases of each table, in interleaved rounds, so that other load affects all of them alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.check import verify
from bench.collector import AT_ONCE, DESCRIBED, GENERIC, OWN
from bench.load import Load
from bench.measure import Bench, Result, RunFailed
from bench.messages import Cycle
from bench.observing import OBSERVING
from bench.peers import READER, SINK, Collector, peers

__all__ = ["MEASURES", "QUICK", "RATES", "SLOW_RATE", "SLOW_TIMES", "Case", "Outcome", "Plan"]

MEASURES = ("saturation", "paced", "health", "tls", "sizes", "sids")
QUICK = ("saturation", "paced", "health", "tls")

SLOW_RATE = 100
SLOW_TIMES = 3
"""A run at SLOW_RATE is so many times as long: a second of it has few messages, and little CPU time."""
RATES = (SLOW_RATE, 1_000, 10_000, 50_000)
SIZES = (64, 256, 1024, 4096, 16384, 65536)
SIDS = (1, 10, 100, 1_000, 10_000)
_PACED = (
    "ssmd", AT_ONCE, "websocket-client", "websockets, tuned", "aiohttp, tuned", "picows, tuned", "Node ws, tuned",
    "websocat", READER,
)  # fmt: skip
_TWO = ("ssmd", "picows, tuned")
_QUICK = ("ssmd", GENERIC, DESCRIBED, "picows, orjson", "picows, tuned")


@dataclass(frozen=True)
class Case:
    """One row of one table."""

    measure: str
    """One of MEASURES."""
    collector: str
    load: Load


@dataclass
class Outcome:
    """The runs of one case."""

    results: list[Result] = field(default_factory=list)
    failure: str = ""
    """Why a run failed, when one did; the case is then not run again."""

    def median(self, value: Callable[[Result], float]) -> float:
        return statistics.median(map(value, self.results))

    @property
    def fault(self) -> str:
        """The failure, or what a run has lost; the empty text when there is neither."""
        return self.failure or next((result.fault for result in self.results if result.fault), "")


class Plan:
    """The cases of some measures, for the collectors that can be run here; run() fills `outcomes`.

    `only`: parts of the names of collectors.
    """

    def __init__(self, bench: Bench, measures: Iterable[str], only: Sequence[str], *, quick: bool) -> None:
        self._bench = bench
        collectors: list[Collector] = [*OWN, *OBSERVING, *peers(bench.reader)]
        wanted = [one for one in collectors if any(name in one.name for name in only)]
        self.missing = {one.name: one.missing() for one in wanted if one.missing()}
        self._collectors = {one.name: one for one in wanted if not one.missing()}
        self.outcomes: dict[Case, Outcome] = {
            case: Outcome()
            for measure in measures
            for case in _cases(measure, collectors, quick)
            if case.collector in self._collectors
        }

    def run(self, rounds: int, seconds: float, progress: Callable[[str], None]) -> None:
        """Run every case once in each round, for `seconds`."""
        for measure in dict.fromkeys(case.measure for case in self.outcomes):
            for number in range(1, rounds + 1):
                for case, outcome in self.outcomes.items():
                    if case.measure == measure and not outcome.failure:
                        self._run_once(case, outcome, seconds)
                        progress(f"{measure} {number}/{rounds} {_name(case)}: {_short(outcome)}")

    def check(self, load: Load, seconds: float, progress: Callable[[str], None]) -> int:
        """Run each collector once, and compare every line with what was sent; return how many collectors failed."""
        failed = 0
        texts = Cycle(load.sids, load.size)
        for collector in self._collectors.values():
            if collector.name == SINK:
                continue
            counts: list[int] = []
            compare = partial(verify, texts=texts, exact=collector.exact, envelope=collector.envelope)

            def inspect(path: Path, done: list[int] = counts, to: Callable[[Path], int] = compare) -> None:
                done.append(to(path))

            try:
                result = self._bench.run(collector, load, seconds, inspect=inspect)
                fault = result.fault
            except RunFailed as failure:
                fault = str(failure)
            failed += bool(fault)
            progress(f"{collector.name}: {fault or f'{sum(counts):,} messages, as they were sent'}")
        return failed

    def _run_once(self, case: Case, outcome: Outcome, seconds: float) -> None:
        collector = self._collectors[case.collector]
        if case.load.rate == SLOW_RATE:
            seconds *= SLOW_TIMES
        try:
            outcome.results.append(self._bench.run(collector, case.load, seconds, health=case.measure == "health"))
        except RunFailed as failed:
            outcome.failure = str(failed)


def _cases(measure: str, collectors: Sequence[Collector], quick: bool) -> list[Case]:
    names = [one.name for one in collectors]
    if measure == "saturation":
        return [Case(measure, name, Load()) for name in names if (name in _QUICK if quick else name != AT_ONCE)]
    if measure == "paced":
        return [Case(measure, name, Load(rate=rate)) for rate in RATES for name in names if _paced(name, rate, quick)]
    if measure == "health":
        return [Case(measure, "ssmd", Load())]
    if measure == "tls":
        secure = [one.name for one in collectors if one.tls]
        if quick:
            return [Case(measure, name, Load(tls="message")) for name in ("ssmd", "aiohttp, tuned")]
        return [Case(measure, name, Load(tls=records)) for records in ("message", "full") for name in secure]
    if measure == "sizes":
        return [Case(measure, name, Load(size=size)) for size in SIZES for name in ("ssmd", "picows, tuned")]
    return [Case(measure, "ssmd", Load(sids=sids)) for sids in SIDS]


def _paced(name: str, rate: float, quick: bool) -> bool:
    """Return whether a collector is measured at the rate."""
    if rate == SLOW_RATE:
        return name == "ssmd" or (name in _TWO and not quick)
    return name in (_TWO if quick else _PACED)


def _name(case: Case) -> str:
    load = case.load
    parts = [f"{load.rate:,.0f} msg/s" if load.rate else "", f"{load.size} bytes" if load.size else ""]
    parts += [f"{load.sids} sids" if load.sids != Load().sids else "", f"TLS {load.tls}" if load.tls else ""]
    return " ".join([case.collector, *filter(None, parts)])


def _short(outcome: Outcome) -> str:
    if outcome.fault:
        return f"FAILED: {outcome.fault}"
    last = outcome.results[-1]
    text = f"{last.rate:,.0f} msg/s, {last.cpu_us:.2f} us CPU each, {last.cpu_percent:.1f} % of a core"
    return text if math.isnan(last.latency_ms[1]) else f"{text}, p99 {last.latency_ms[1]:.2f} ms"
