"""What a run has found of drift: for /status and /metrics. There is none where an environment does not ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ssmd.contracts.companion import SEAL
from ssmd.runtime.companion_state import CompanionState

__all__ = ["MOST_TYPES", "OTHERS", "DriftState", "FoundDrift", "drift_metrics", "sealed_drift", "sealed_drift_metrics"]

MOST_TYPES = 100
"""How many types of messages are told apart in the metric; the drifts of further ones have the type OTHERS."""
OTHERS = "(others)"


class FoundDrift(NamedTuple):
    """A change of the shape of messages, as the file that keeps it and /status have it."""

    kind: str
    type: str
    path: str
    was: str
    now: str
    received: str
    """When the first message that shows it was received, as in its line."""


@dataclass
class DriftState:
    """What was found. Written by the observer, read by the probes."""

    level: str
    """`drift_check` of the environment."""
    days_before: bool = False
    """Whether there are days to compare the messages with."""
    looked_at: int = 0
    """Messages that were compared with the days before."""
    passed_over: int = 0
    """Messages that were not, to save time."""
    found: list[FoundDrift] = field(default_factory=list)
    """Of this day, also what earlier runs have found."""
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """By kind and type, as the metric has it: what this run has found."""

    def add(self, drift: FoundDrift) -> None:
        """Add what this run has found."""
        self.found.append(drift)
        _count(self.counts, drift.kind, drift.type)


def _count(counts: dict[tuple[str, str], int], kind: str, type: str) -> None:
    types = {type for _, type in counts}
    label = type if type in types or len(types) < MOST_TYPES else OTHERS
    counts[kind, label] = counts.get((kind, label), 0) + 1


def drift_metrics(state: DriftState | None) -> Iterator[Metric]:
    """Yield the metrics."""
    if state is None:
        return
    drift = CounterMetricFamily(
        "ssmd_drift", "Changes of the messages' shape, compared with the days before.", labels=["kind", "type"]
    )
    for labels, count in state.counts.items():
        drift.add_metric(labels, float(count))
    yield drift
    for name, text, value in (
        ("ssmd_drift_looked_at_messages", "Messages that were compared with the days before.", state.looked_at),
        ("ssmd_drift_passed_over_messages", "Messages that were not, to save time.", state.passed_over),
    ):
        counter = CounterMetricFamily(name, text, labels=())
        counter.add_metric((), float(value))
        yield counter


def sealed_drift(day: str, found: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what the companion that seals reports of the newest sealed day, given the kind and type of each change."""
    counts: dict[tuple[str, str], int] = {}
    for kind, type in found:
        _count(counts, kind, type)
    return {"day": day, "counts": [[*labels, count] for labels, count in counts.items()]}


def sealed_drift_metrics(companions: Mapping[str, CompanionState]) -> Iterator[Metric]:
    """Yield the metric of what sealing has found, if there is a companion that seals."""
    if SEAL not in companions:
        return
    text = "Changes of the messages' shape that the newest sealed day shows, compared with the days before it."
    sealed = GaugeMetricFamily("ssmd_sealed_drift", text, labels=["kind", "type"])
    for kind, type, count in companions[SEAL].report.get("drift", {}).get("counts", ()):
        sealed.add_metric((kind, type), float(count))
    yield sealed
