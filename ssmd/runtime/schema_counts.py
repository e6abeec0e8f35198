"""How many messages of a run were checked against a schema, and how many were not as it says; also as metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric

__all__ = ["MOST_TYPES", "OTHERS", "SchemaCounts", "schema_metrics"]

MOST_TYPES = 100
"""How many types of messages are counted by themselves."""
OTHERS = "(others)"
"""What further types are counted as."""


class SchemaCounts:
    """What the check has found so far. `schema`: its reference, such as kalshi:v2. `types`: those that it names."""

    def __init__(self, schema: str, *, is_sample: bool, types: Iterable[str] = ()) -> None:
        self.schema = schema
        self.is_sample = is_sample
        """Whether only a part of the messages is checked."""
        self.checked = 0
        self.not_checked = 0
        """Messages that were passed over: they are too large, or a check has taken long."""
        # With a 0 for each that is known, so that Prometheus sees the first one as an increase.
        self.violations: dict[str, int] = dict.fromkeys(["", *types][: MOST_TYPES - 1], 0)
        """By the type of the message; the empty one for messages without a type, such as those that are not JSON."""

    def add(self, kind: str) -> str:
        """Count a violation; return the type that it is counted as."""
        if kind not in self.violations and len(self.violations) >= MOST_TYPES:
            kind = OTHERS
        self.violations[kind] = self.violations.get(kind, 0) + 1
        return kind


def schema_metrics(counts: SchemaCounts | None) -> Iterator[Metric]:
    """Yield the metrics; none when no schema is checked."""
    if counts is None:
        return
    violations = CounterMetricFamily(
        "ssmd_schema_violations", "Messages that are not as the schema says, by type.", labels=["type"]
    )
    for kind, count in list(counts.violations.items()):
        violations.add_metric([kind], count)
    yield violations
    checked = CounterMetricFamily("ssmd_schema_checked", "Messages checked against the schema.", labels=())
    checked.add_metric((), counts.checked)
    yield checked
    passed = CounterMetricFamily(
        "ssmd_schema_not_checked", "Messages not checked: too large, or after a slow check.", labels=()
    )
    passed.add_metric((), counts.not_checked)
    yield passed
