"""What the companions that ship and upload have reported of themselves: for /metrics and /status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ssmd.contracts.companion import SHIP, UPLOAD
from ssmd.runtime.companion_state import CompanionState

__all__ = ["STALE_SECONDS", "Shipping", "shipping_metrics", "shipping_of"]

_PARTS = ("day", "live")

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
    overdue: Mapping[str, float | None]
    """Of an upload: for how many seconds something that should be in the bucket has not been there, 0 when there is
    nothing of the kind. `day`: a day that is over, since its end. `live`: lines of today, since they are older than
    `storage.live_seconds`; None also where no segments are uploaded. Empty for what is no upload."""



def shipping_of(companions: Mapping[str, CompanionState], name: str = SHIP) -> Shipping | None:
    """Return what is known; None when there is no companion of this name, or it has not reported yet.

    `name`: SHIP or UPLOAD.
    """
    state = companions.get(name)
    report = {} if state is None else state.report
    if state is None or "engine" not in report:
        return None
    works = state.up and time.monotonic() - state.reported < STALE_SECONDS
    parts = _PARTS if name == UPLOAD else ()
    return Shipping(
        engine=report["engine"],
        up=works and report["up"],
        messages=report["messages"],
        failures=report["failures"],
        lag_bytes=report["lag_bytes"] if works else None,
        lag_seconds=report["lag_seconds"] if works else None,
        until=report["shipped_until"],
        error=report["error"] if works else state.error,
        overdue={part: report.get(f"{part}_overdue_seconds") if works else None for part in parts},
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


def shipping_metrics(companions: Mapping[str, CompanionState]) -> Iterator[Metric]:
    """Yield the metrics; none where nothing is shipped or uploaded."""
    found = [shipping for name in (SHIP, UPLOAD) if (shipping := shipping_of(companions, name))]
    if not found:
        return
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["engine"])
        for shipping in found:
            if (number := value(shipping)) is not None:
                gauge.add_metric([shipping.engine], float(number))
        yield gauge
    for name, text, count in _COUNTERS:
        counter = CounterMetricFamily(name, text, labels=["engine"])
        for shipping in found:
            counter.add_metric([shipping.engine], count(shipping))
        yield counter
    yield from _overdue(found)


def _overdue(found: Sequence[Shipping]) -> Iterator[Metric]:
    if uploads := [shipping for shipping in found if shipping.overdue]:
        text = "For how long a day that is over, or lines of today, should have been in the bucket already; 0 for none."
        gauge = GaugeMetricFamily("ssmd_upload_overdue_seconds", text, labels=["engine", "part"])
        for shipping in uploads:
            for part, seconds in shipping.overdue.items():
                if seconds is not None:
                    gauge.add_metric([shipping.engine, part], seconds)
        yield gauge
