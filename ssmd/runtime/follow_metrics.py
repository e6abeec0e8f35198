"""The metrics of the markets that are followed. There are none where nothing is followed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ssmd.contracts.listing import ListingState

__all__ = ["follow_metrics"]

_GAUGES: tuple[tuple[str, str, Callable[[ListingState], float | None]], ...] = (
    (
        "ssmd_followed_markets",
        "Markets that the exchange lists and that are to be collected; missing before the first whole listing.",
        lambda state: state.listed,
    ),
    (
        "ssmd_followed_subscribed_markets",
        "How many of them are subscribed to and confirmed.",
        lambda state: state.subscribed,
    ),
    (
        "ssmd_followed_unsubscribed_markets",
        "Markets that are known and to be collected, and not confirmed yet.",
        lambda state: state.not_subscribed,
    ),
    (
        "ssmd_followed_over_limit_markets",
        "How many of these are left out because of a limit of the exchange or of the feed.",
        lambda state: state.over_limit,
    ),
    (
        "ssmd_followed_waiting_seconds",
        "How long the oldest unconfirmed market has waited for its confirmation; 0 when none waits.",
        lambda state: 0 if state.waiting_since_ms is None else max(0.0, time.time() - state.waiting_since_ms / 1000),
    ),
    (
        "ssmd_last_listing_timestamp",
        "When the last whole listing ended, Unix seconds; missing before the first.",
        lambda state: None if state.last_listed_ms is None else state.last_listed_ms / 1000,
    ),
    (
        "ssmd_listing_pause_seconds",
        "How long the pause is that the listing makes after a refusal or a failure; 0 when it makes none.",
        lambda state: state.pause_seconds,
    ),
)


def follow_metrics(state: ListingState | None) -> Iterator[Metric]:
    """Yield the metrics. One that is not known has no series."""
    if state is None:
        return
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=())
        if (number := value(state)) is not None:
            gauge.add_metric((), float(number))
        yield gauge
    text = "Requests that list markets, by the status of the answer; `none` when there was no answer."
    counter = CounterMetricFamily("ssmd_listing_requests", text, labels=["status"])
    for status, count in state.responses.items():
        counter.add_metric([str(status) if status else "none"], count)
    yield counter
