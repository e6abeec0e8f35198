"""Puts together what compares messages with the shape of the days before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ssmd.contracts.exchange import Exchange
from ssmd.contracts.shard import Shard
from ssmd.errors import SsmdError
from ssmd.exchange.topics import PRIVATE, topic_of
from ssmd.metadata.deployment import Deployment
from ssmd.observing.before import Before
from ssmd.observing.harmless import Harmless
from ssmd.observing.reported import Reported
from ssmd.observing.shape import ALL, OFF, ShapeObserver, Sources
from ssmd.proof.day_shape import known_before
from ssmd.runtime.drift import DriftState
from ssmd.runtime.kept_fresh import KeptFresh
from ssmd.runtime.status import Status
from ssmd.shape.drift import Known
from ssmd.store.layout import drift_path
from ssmd.store.timestamps import day_of_ns
from ssmd.wiring.catalogs import dialect_of

__all__ = ["shape_observer"]

FRESH_SECONDS = 600.0
"""How often the shapes of the days before are read again: one is new when a day was sealed."""
START_SECONDS = 2.0
"""How long a start waits for them."""


def shape_observer(
    deployment: Deployment,
    exchange: Exchange,
    folder: Path | None,
    shard: Shard,
    status: Status,
    clock: Callable[[], int],
) -> Harmless | None:
    """Return the observer that the environment asks for, None when it asks for none, or no folder has days before.

    `folder`: where the days are.
    """
    level = deployment.environment.drift_check
    if level == OFF or folder is None:
        return None
    feed, dialect = deployment.feed.name, deployment.dialect

    reader = dialect_of(deployment).reader()
    heads = exchange.heads if level == ALL else None

    def before() -> Before:
        try:
            return Before.of(known_before(folder, feed, day_of_ns(clock()), [dialect]), reader, heads)
        except SsmdError:  # Before the first run there is no folder.
            return Before(Known({}, {}))

    status.drift = DriftState(level)
    sources = Sources(
        reader,
        lambda type: topic_of(dialect, type).section != PRIVATE,
        exchange.hidden,
        heads,
        KeptFresh(before, FRESH_SECONDS),
        Reported(drift_path(folder, shard.stem(feed))),
        decodes_apart=deployment.environment.schema_check == "count",
    )
    observer = ShapeObserver(sources, status.drift, clock())
    return Harmless(observer, lambda: observer.begin(START_SECONDS))
