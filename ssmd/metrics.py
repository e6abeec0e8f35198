"""Every metric of a run, in one place.

The registry is an argument, never the library's global one, so that a test, or a second run in the same
process, has its own. What the Status knows is read from it when somebody scrapes, and not counted twice.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from ssmd import __version__, errors
from ssmd.runtime.status import Status

__all__ = ["ERROR_TYPES", "Metrics"]

ERROR_TYPES = sorted(
    kind.label
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SsmdError) and kind is not errors.SsmdError
)
"""Every value of the label `type`. All start at 0, so that an alert on a first error can see the step."""

# From the exchange's own network to an outage. Clocks that differ can put an age below zero; it counts as 0, since the
# sum of a histogram may not shrink, and so has a bucket of its own.
_AGE_SECONDS = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class _Counts(Collector):
    """The counters whose values the Status holds."""

    _FAMILIES = (
        ("ssmd_messages", "Messages written, one line each.", "messages"),
        ("ssmd_received_bytes", "Bytes of messages received, without framing.", "received_bytes"),
        ("ssmd_written_bytes", "Bytes written to the output.", "written_bytes"),
        ("ssmd_messages_not_json", "Messages that are not one valid JSON document, kept as a string.", "not_json"),
        ("ssmd_sequence_gaps", "Sequence numbers that did not follow the one before.", "gaps"),
        ("ssmd_missed_messages", "Messages missing in those gaps.", "missed"),
    )

    def __init__(self, feed: str, status: Status) -> None:
        self._feed = feed
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for name, text, field in self._FAMILIES:
            family = CounterMetricFamily(name, text, labels=["feed"])
            family.add_metric([self._feed], getattr(self._status, field))
            yield family


class Metrics:
    """The metrics of one feed, registered with `registry`."""

    def __init__(self, registry: CollectorRegistry, feed: str, status: Status) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ["feed"], registry=registry).labels(feed)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["feed"], registry=registry).labels(feed)

        registry.register(_Counts(feed, status))
        by_type = Counter(
            "ssmd_errors_total", "Errors that ended the run, by type.", ["feed", "type"], registry=registry
        )
        self.errors = {label: by_type.labels(feed, label) for label in ERROR_TYPES}
        gauge("ssmd_connected", "1 while connected to the exchange, else 0.").set_function(
            lambda: float(status.connected)
        )
        gauge(
            "ssmd_last_message_timestamp", "When the last message was received, Unix seconds; 0 before the first."
        ).set_function(lambda: status.last_received_ns / 1e9)

        self.seal_failures = counter("ssmd_seal_failures_total", "Times that finished days could not be sealed.")
        self.clock_steps = counter("ssmd_clock_steps_total", "Times the wall clock stepped back; timestamps never do.")
        self.backpressure = counter(
            "ssmd_backpressure_seconds_total", "Seconds in which the socket was not read because the writer was behind."
        )
        self.age = Histogram(
            "ssmd_message_age_seconds",
            "From the exchange's time of a message to its receipt, not below 0; the newest message of each read.",
            ["feed"],
            buckets=_AGE_SECONDS,
            registry=registry,
        ).labels(feed)
        gauge("ssmd_queue_messages", "Messages received and not yet written.").set_function(
            lambda: status.queue_messages()
        )
        gauge("ssmd_queue_bytes", "Bytes that messages received and not yet written take.").set_function(
            lambda: status.queue_bytes()
        )
        gauge(
            "ssmd_unacknowledged_subscriptions", "Subscriptions asked for that the exchange has not confirmed."
        ).set_function(lambda: float(status.unacknowledged))
        self.last_write = gauge("ssmd_last_write_timestamp", "When the last write ended, Unix seconds.")
        self.last_sync = gauge("ssmd_last_sync_timestamp", "When the last sync to disk ended, Unix seconds.")
        self.disk_free = gauge("ssmd_disk_free_bytes", "Bytes free for the output, as of the last sync.")
        gauge("ssmd_start_timestamp", "When the collector started, Unix seconds.").set(time.time())
        build = Gauge(
            "ssmd_build_info", "Always 1; the labels say what is running.", ["version", "python"], registry=registry
        )
        build.labels(__version__, platform.python_version()).set(1)
        ProcessCollector(registry=registry)
