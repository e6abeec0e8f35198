"""Every metric of a run, in one place.

The registry is an argument, never the library's global one, so that a test, or a second run in the same process, has
its own. What the Status knows is read from it at each scrape, and not counted twice.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ssmd import __version__, errors
from ssmd.contracts.companion import SEAL
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.runtime.channel_metrics import channel_metrics
from ssmd.runtime.drift import drift_metrics, sealed_drift_metrics
from ssmd.runtime.follow_metrics import follow_metrics
from ssmd.runtime.histogram import Histogram
from ssmd.runtime.key_metrics import key_metrics
from ssmd.runtime.labelled import Labelled
from ssmd.runtime.schema_counts import schema_metrics
from ssmd.runtime.shipping import shipping_metrics
from ssmd.runtime.status import Status

__all__ = ["BUG", "ERROR_TYPES", "Metrics"]

BUG = "bug"
"""The type of an error that no part expects."""

ERROR_TYPES = sorted(
    {
        kind.label
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SsmdError) and kind is not errors.SsmdError
        if kind.ends_runs
    }
    | {BUG}
)
"""Every value of the label `type`. All start at 0, so that an alert on a first error can see the step."""

# From the exchange's own network to an outage. Clocks that differ can make an age negative. It counts as 0, since the
# sum of a histogram must not decrease, and 0 has a bucket of its own.
_AGE_SECONDS = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class _FromStatus(Collector):
    """The metrics whose values the Status holds. One that is not known has no series."""

    _COUNTERS: tuple[tuple[str, str, Callable[[Status], float | None]], ...] = (
        ("ssmd_messages", "Messages written, one line each.", lambda status: status.messages),
        ("ssmd_received_bytes", "Bytes of messages received, without framing.", lambda status: status.received_bytes),
        ("ssmd_written_bytes", "Bytes written to the output.", lambda status: status.written_bytes),
        (
            "ssmd_messages_not_json",
            "Messages kept as a string, because they are not one valid JSON document, and not expected.",
            lambda status: status.not_json,
        ),
        (
            "ssmd_sequence_gaps",
            "Sequence numbers that did not follow the one before; missing where no message has had a number.",
            lambda status: status.known_gaps,
        ),
        (
            "ssmd_missed_messages",
            "Messages lost in those gaps; no series after a gap that does not show how many.",
            lambda status: status.known_missed,
        ),
        (
            "ssmd_seal_failures",
            "Times that finished days could not be sealed; the failures of the companion `seal`.",
            lambda status: status.companions[SEAL].failures if SEAL in status.companions else None,
        ),
    )
    _GAUGES: tuple[tuple[str, str, Callable[[Status], float | None]], ...] = (
        ("ssmd_connected", "1 while connected to the exchange, else 0.", lambda status: status.connected),
        ("ssmd_idle", "1 when nothing is asked for, so that no message is expected, else 0.", lambda s: bool(s.idle)),
        (
            "ssmd_last_message_timestamp",
            "When the last message was received, Unix seconds; missing before the first.",
            lambda status: None if status.last_received_ns is None else status.last_received_ns / 1e9,
        ),
        (
            "ssmd_scheduled",
            "1 while the schedule is open, 0 while it is closed; missing without a schedule that is enforced.",
            lambda status: status.scheduled,
        ),
        (
            "ssmd_opened_timestamp",
            "When the open hours of the schedule began, Unix seconds; missing without one, and while it is closed.",
            lambda status: None if status.opened_ns is None else status.opened_ns / 1e9,
        ),
        (
            "ssmd_silence_expected",
            "1 while no message is expected, else 0; missing without such times.",
            lambda status: float(status.silence_until_ns is not None) if status.has_silences else None,
        ),
        ("ssmd_queue_messages", "Messages received and not yet written.", lambda status: status.queue_messages()),
        ("ssmd_queue_bytes", "Bytes of memory that they take.", lambda status: status.queue_bytes()),
        (
            "ssmd_unacknowledged_subscriptions",
            "Subscriptions asked for that the exchange has not confirmed.",
            lambda status: status.unacknowledged,
        ),
        (
            "ssmd_last_write_timestamp",
            "When the last write ended, Unix seconds; missing before the first.",
            lambda status: status.last_write,
        ),
        (
            "ssmd_last_sync_timestamp",
            "When the last sync to disk ended, Unix seconds; missing before the first.",
            lambda status: status.last_sync,
        ),
        (
            "ssmd_disk_free_bytes",
            "Bytes free for the output, as of the last sync; missing before the first.",
            lambda status: status.disk_free,
        ),
    )

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for families, family in ((self._COUNTERS, CounterMetricFamily), (self._GAUGES, GaugeMetricFamily)):
            for name, text, value in families:
                metric = family(name, text, labels=())
                if (number := value(self._status)) is not None:
                    metric.add_metric((), float(number))
                yield metric
        yield from channel_metrics(self._status.channels or ())
        yield from schema_metrics(self._status.schema)
        if (count := self._status.not_decompressed()) is not None:  # Most exchanges do not compress their messages.
            text = "Messages that could not be decompressed, kept as they came."
            metric = CounterMetricFamily("ssmd_messages_not_decompressed", text, labels=())
            metric.add_metric((), float(count))
            yield metric
        if (count := self._status.unchanged()) is not None:  # Only feeds over HTTP have such answers.
            text = "Answers that were the same as the one before, and not kept."
            metric = CounterMetricFamily("ssmd_unchanged_responses", text, labels=())
            metric.add_metric((), float(count))
            yield metric
        yield from follow_metrics(self._status.listing)
        yield from drift_metrics(self._status.drift)
        yield from sealed_drift_metrics(self._status.companions)
        yield from shipping_metrics(self._status.companions)
        yield from key_metrics(self._status.keys)
        yield from self._companions()

    def _companions(self) -> Iterator[Metric]:
        labels = ["companion"]
        up = GaugeMetricFamily("ssmd_companion_up", "1 while the companion's process runs, else 0.", labels=labels)
        starts = CounterMetricFamily("ssmd_companion_starts", "Times that a companion was started.", labels=labels)
        failures = CounterMetricFamily(
            "ssmd_companion_failures", "Times that a companion failed, or could not be started.", labels=labels
        )
        for name, state in self._status.companions.items():
            up.add_metric([name], float(state.up))
            starts.add_metric([name], state.starts)
            failures.add_metric([name], state.failures)
        yield from (up, starts, failures)


class Metrics:
    """The metrics of one run, registered with `registry`.

    Every series has the labels `feed` and `shard`; `shard` is empty when no other process shares the feed.
    """

    def __init__(self, registry: CollectorRegistry, feed: str, status: Status, shard: Shard = WHOLE) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        ours = Labelled({"feed": feed, "shard": shard.label})
        registry.register(ours)
        ours.register(_FromStatus(status))
        by_type = Counter("ssmd_errors_total", "Errors that ended the run, by type.", ["type"], registry=ours)
        self.errors = {label: by_type.labels(label) for label in ERROR_TYPES}
        self.clock_steps = Counter(
            "ssmd_clock_steps_total", "Times the wall clock stepped back; timestamps never do.", registry=ours
        )
        self.backpressure = Counter(
            "ssmd_backpressure_seconds_total",
            "Seconds in which the socket was not read because the writer was behind.",
            registry=ours,
        )
        self.age = Histogram(
            "ssmd_message_age_seconds",
            "From the exchange's time of a message to its receipt, not below 0; the newest message of each read.",
            _AGE_SECONDS,
        )
        ours.register(self.age)
        _register_constants(ours, shard)


def _register_constants(registry: CollectorRegistry, shard: Shard) -> None:
    """Register what stays the same as long as the process runs, and what the library says of the process."""
    shards = Gauge("ssmd_shards", "How many processes share the feed; 1 without shards.", registry=registry)
    shards.set(shard.of)
    started = Gauge("ssmd_start_timestamp", "When the collector started, Unix seconds.", registry=registry)
    started.set(time.time())
    build = Gauge(
        "ssmd_build_info", "Always 1; the labels say what is running.", ["version", "python"], registry=registry
    )
    build.labels(__version__, platform.python_version()).set(1)
    ProcessCollector(registry=registry)
