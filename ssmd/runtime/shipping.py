"""What the companion that ships has reported of itself: for /metrics and /status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ssmd.contracts.companion import SHIP
from ssmd.runtime.companion_state import CompanionState

__all__ = ["STALE_SECONDS", "Shipping", "shipping_metrics", "shipping_of"]

STALE_SECONDS = 10.0
"""It reports once a second. After this time without a report it does not work, and nothing is known of its lag."""


class Shipping(NamedTuple):
    """How far messages are shipped. None is unknown."""

    engine: str
    up: bool
    """It is connected to the engine, and knows where its copy ends."""
    messages: int
    """Messages that the engine has acknowledged since the companion was started last."""
    failures: int
    """Times that the engine has failed since then."""
    lag_bytes: int | None
    lag_seconds: float | None
    until: Mapping[str, Any] | None
    """Where the engine's copy ends: `day`, `offset`, `line`, and `last`, the time of the last line, null if nothing was
    shipped since the start."""
    error: str | None
    """Why it is not connected; None while it is."""


def shipping_of(companions: Mapping[str, CompanionState]) -> Shipping | None:
    """Return what is known; None when nothing is shipped, or the companion has not reported yet."""
    state = companions.get(SHIP)
    report = {} if state is None else state.report
    if state is None or "engine" not in report:
        return None
    works = state.up and time.monotonic() - state.reported < STALE_SECONDS
    return Shipping(
        engine=report["engine"],
        up=works and report["up"],
        messages=report["messages"],
        failures=report["failures"],
        lag_bytes=report["lag_bytes"] if works else None,
        lag_seconds=report["lag_seconds"] if works else None,
        until=report["shipped_until"],
        error=report["error"] if works else state.error,
    )


_GAUGES: tuple[tuple[str, str, Callable[[Shipping], float | None]], ...] = (
    (
        "ssmd_ship_up",
        "1 while what is recorded is shipped: the relay runs and is connected to the engine; else 0.",
        lambda shipping: shipping.up,
    ),
    (
        "ssmd_ship_lag_bytes",
        "Bytes on the disk that the engine has not acknowledged; missing while that is not known.",
        lambda shipping: shipping.lag_bytes,
    ),
    (
        "ssmd_ship_lag_seconds",
        "How long ago the oldest of these lines was received, 0 when there is none; missing while that is not known.",
        lambda shipping: shipping.lag_seconds,
    ),
)
_COUNTERS: tuple[tuple[str, str, Callable[[Shipping], float]], ...] = (
    (
        "ssmd_shipped_messages",
        "Messages that the engine has acknowledged, since the relay was started last.",
        lambda shipping: shipping.messages,
    ),
    ("ssmd_ship_failures", "Times that the engine has failed since then.", lambda shipping: shipping.failures),
)


def shipping_metrics(shipping: Shipping | None) -> Iterator[Metric]:
    """Yield the metrics; none where nothing is shipped."""
    if shipping is None:
        return
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["engine"])
        if (number := value(shipping)) is not None:
            gauge.add_metric([shipping.engine], float(number))
        yield gauge
    for name, text, count in _COUNTERS:
        counter = CounterMetricFamily(name, text, labels=["engine"])
        counter.add_metric([shipping.engine], count(shipping))
        yield counter
