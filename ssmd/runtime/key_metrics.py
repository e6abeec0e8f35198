"""The metrics of the keys of a run: how old they are, and how old they may be."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric

__all__ = ["KeyState", "key_metrics"]


class KeyState(NamedTuple):
    """What a run knows about one of its keys."""

    changed: float | None
    """When it was last changed, Unix seconds; None when its source does not say."""
    rotation_seconds: float | None
    """How old it may be; None when that is not limited."""

    def age(self, now: float) -> float | None:
        """Return how old it is at `now`, Unix seconds; None when that is not known."""
        return None if self.changed is None else max(0.0, now - self.changed)


def key_metrics(keys: Mapping[str, KeyState]) -> Iterator[Metric]:
    """Yield the metrics of keys, given by their names. What is not known has no series."""
    age = GaugeMetricFamily(
        "ssmd_key_age_seconds",
        "How long ago a key was last changed; missing when its source does not say.",
        labels=["key"],
    )
    rotation = GaugeMetricFamily(
        "ssmd_key_rotation_seconds",
        "How old a key may be, as rotation_days says; missing without it.",
        labels=["key"],
    )
    now = time.time()
    for name, state in keys.items():
        if (seconds := state.age(now)) is not None:
            age.add_metric([name], seconds)
        if state.rotation_seconds is not None:
            rotation.add_metric([name], state.rotation_seconds)
    yield from (age, rotation)
