"""What bin/bench --tabs makes of its runs: intervals, and a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.latency import percentile
from bench.markdown import table

__all__ = ["CASES", "Case", "Pair", "interval", "report"]

MOST_PERCENT = 2.0
"""How much more CPU a message may cost with a hundred tabs: the upper end of the interval."""
HEALTH_MS = 50.0
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
"""Student's t for a two-sided interval of 95 %, by degrees of freedom from 1."""


class Case(NamedTuple):
    name: str
    tabs: int
    reads: bool = True
    slice_seconds: float = 6
    """Longer than the page takes between two events."""


CASES = (
    Case("no tab", 0),
    Case("1 tab", 1),
    Case("100 tabs", 100),
    Case("100 that never read", 100, reads=False, slice_seconds=18),
)


@dataclass
class Pair:
    """The figures of one run."""

    costs: list[float] = field(default_factory=list)
    """CPU microseconds a message, of slices in turn: without tabs, with them, and so on; without them at the end."""
    rate: float = 0.0
    """Messages a second with the tabs."""
    memory_mb: float = 0.0
    """The highest resident memory by the end of the last slice with tabs."""
    events: int = 0
    """Events that the tabs have read."""
    cut: int = 0
    """How many times a tab was cut off."""
    health_ms: list[float] = field(default_factory=list)

    @property
    def without_us(self) -> float:
        return statistics.median(self.costs[::2])

    @property
    def with_us(self) -> float:
        return statistics.median(self.costs[1::2])

    @property
    def ratio(self) -> float:
        """How the slices with tabs compare with those beside them."""
        costs = self.costs
        ratios = [2 * costs[at] / (costs[at - 1] + costs[at + 1]) for at in range(1, len(costs), 2)]
        return statistics.median(ratios)

    @property
    def more_ms(self) -> float:
        """Milliseconds of CPU that the tabs take in each second: nearly the same on a machine that is busy."""
        return (self.ratio - 1) * self.without_us * self.rate / 1e3


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of ratios, and the ends of its interval of 95 %, by Student's t: all as % above 1."""
    mean = statistics.mean(ratios)
    if len(ratios) < 2:
        return (mean - 1) * 100, -math.inf, math.inf
    half = _T95[min(len(ratios) - 2, len(_T95) - 1)] * statistics.stdev(ratios) / len(ratios) ** 0.5
    return (mean - 1) * 100, (mean - half - 1) * 100, (mean + half - 1) * 100


def _row(case: Case, pairs: Sequence[Pair]) -> list[str]:
    mean, low, high = interval([pair.ratio for pair in pairs])
    times = [ms for pair in pairs for ms in pair.health_ms]
    return [
        case.name,
        f"{statistics.median(pair.without_us for pair in pairs):.3f}",
        f"{statistics.median(pair.with_us for pair in pairs):.3f}",
        f"{mean:+.2f} %",
        f"{low:+.2f} to {high:+.2f} %",
        f"{statistics.mean(pair.more_ms for pair in pairs):+.1f}",
        f"{statistics.median(pair.rate for pair in pairs):,.0f}",
        f"{percentile(times, 0.5):.1f}",
        f"{percentile(times, 0.99):.1f}",
        f"{max(times):.1f}",
        f"{max(pair.memory_mb for pair in pairs):.1f}",
        f"{statistics.median(pair.events for pair in pairs):,.0f}",
        f"{statistics.median(pair.cut for pair in pairs):,.0f}",
    ]


def report(found: Mapping[Case, Sequence[Pair]]) -> str:
    header = ["tabs", "us/msg without", "with", "more", "95 % interval", "ms a second", "msg/s"]
    header += ["/health p50 ms", "p99 ms", "worst ms", "memory MB", "events", "cut off"]
    lines = [table(header, [_row(case, pairs) for case, pairs in found.items()]), ""]
    for case, pairs in found.items():
        if case.tabs >= 100:
            high = interval([pair.ratio for pair in pairs])[2]
            goal = f"{case.name}: at most {MOST_PERCENT:g} % more CPU a message, by the upper end of the interval"
            lines.append(f"- {goal}: {high:+.2f} %, {_reached(high <= MOST_PERCENT)}")
        p99 = percentile([ms for pair in pairs for ms in pair.health_ms], 0.99)
        goal = f"{case.name}: `/health` p99 under {HEALTH_MS:g} ms"
        lines.append(f"- {goal}: {p99:.1f} ms, {_reached(p99 < HEALTH_MS)}")
    return "\n".join(lines) + "\n"


def _reached(is_so: bool) -> str:
    return "reached" if is_so else "NOT reached"
