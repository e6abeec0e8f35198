"""What is beside a collection, and stays while it is closed: the probes, the companions, and what ends it in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry

from ssmd.contracts.companion import CONFIG_DIR, ENVIRONMENT, Companion
from ssmd.contracts.service import Service
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.strip import ShardToday, Strip
from ssmd.contracts.transport import Transport
from ssmd.contracts.writer import Writer
from ssmd.errors import NewVersion, printable
from ssmd.exchange.topics import PRIVATE, topic_of
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.problem import Problem
from ssmd.observing.harmless import HarmlessService
from ssmd.observing.tap import Tap
from ssmd.reports.other_shards import OtherShards
from ssmd.reports.strips import Strips
from ssmd.runtime.alarm import Alarm
from ssmd.runtime.anew import inherited_listener
from ssmd.runtime.closed import Closed
from ssmd.runtime.companions import Companions
from ssmd.runtime.error_counts import ErrorCounts
from ssmd.runtime.kept_fresh import KeptFresh
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.open_hours import OpenHours
from ssmd.runtime.recent import Recent
from ssmd.runtime.status import Status
from ssmd.server.app import make_app
from ssmd.server.health import HealthServer
from ssmd.server.levels import FULL, OFF, STATUS
from ssmd.server.local import is_loopback
from ssmd.server.page.report import Report
from ssmd.server.page.routes import Page, PageSource
from ssmd.server.status import About, describe
from ssmd.shipping import TRANSPORTS
from ssmd.wiring.catalogs import dialect_of
from ssmd.wiring.configuration import configuration_of
from ssmd.wiring.keys import KeyRing, Keys, is_of_engine
from ssmd.wiring.room import require_shard
from ssmd.wiring.source import is_simulated
from ssmd.writer import WRITERS

__all__ = ["Beside", "ClosedRun", "alarms", "assemble_closed"]

FRESH_SECONDS = 15.0
"""How often the last days are read from the disk while somebody looks at them."""
DAYS_SECONDS = 2.0
"""How long the first answer that shows them waits for the disk."""


class Beside:
    """The parts that a process has whether it collects or is closed.

    `hours`: those in which the environment is open now; None while it is closed, and without a schedule.
    """

    def __init__(
        self,
        deployment: Deployment,
        environ: Mapping[str, str],
        shard: Shard,
        page: str,
        clock: Callable[[], int],
        hours: OpenHours | None = None,
    ) -> None:
        self._deployment = deployment
        self._environ = environ
        self.keys = KeyRing(deployment, environ)
        self._shard, self._page = shard, page
        self.feed = deployment.feed.name
        opened_ns = None if hours is None else hours.opened * 10**9
        self.status = Status(configuration=configuration_of(deployment), opened_ns=opened_ns)
        self.status.keys = self.keys.states
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, self.feed, self.status, shard)
        make_writer = WRITERS[deployment.environment.storage.type]
        self.writer: Writer = make_writer(deployment.storage, self.feed, shard=shard, status=self.status, clock=clock)
        self.error_counts = ErrorCounts(self.writer.state_folder, shard.stem(self.feed), self.metrics.errors)
        self.error_counts.load()
        self.tap = _tap(deployment) if page == FULL else None
        self.recent = Recent(self.status, self.metrics.age)
        self.measures = HarmlessService(self.recent)
        self._clock = clock
        days = self._days(clock)
        self._await_days = (lambda: None) if days is None else partial(days.ask, DAYS_SECONDS)
        self._about = About(
            feed=self.feed,
            shard=shard,
            environment=deployment.environment.name,
            exchange=deployment.dialect,
            endpoint=deployment.shown_endpoint,
            started_ns=clock(),
            earlier_errors=lambda: self.error_counts.earlier,
            recent=self.recent,
            days=lambda: None if days is None else days.ask(),
        )

    def _days(self, clock: Callable[[], int]) -> KeptFresh[Sequence[Strip]] | None:
        """Return what reads the last days from the disk; None when they are not kept in a folder."""
        folder = self.writer.state_folder
        if folder is None:
            return None
        strips = Strips(folder, self._shard.stem(self.feed), lambda: self.status.connected, clock)
        return KeptFresh(strips.read, FRESH_SECONDS)

    def _shards(self) -> Callable[[], Sequence[ShardToday] | None]:
        """Return what reads the other shards of the feed from the disk, while somebody looks."""
        folder = self.writer.state_folder
        if folder is None or self._shard.is_whole:
            return lambda: None
        kept = KeptFresh(OtherShards(folder, self.feed, self._shard, self._clock).read, FRESH_SECONDS)
        return lambda: kept.ask()

    def probes(self, listen: tuple[str, int]) -> HealthServer:
        """Return the server of the probes and the page. Raises ListenError."""

        def said() -> dict[str, Any]:
            return describe(self.status, self._about, self._page)

        source, folder = PageSource(said, self._about.days, self.recent, self._shards()), self.writer.state_folder
        # A report names markets.
        report = Report(folder) if folder is not None and self._page == FULL else None
        page = None if self._page == OFF else Page(source, self.tap, report=report)
        app = make_app(self.status, self.registry, said, page, only_local=is_loopback(listen[0]))
        streams = None if page is None else page.streams
        return HealthServer(*listen, app, inherited_listener(self._environ), before=self._await_days, streams=streams)

    def companions(self, keys: Keys, further: Sequence[Companion] = ()) -> Companions:
        """Return the companions that the writer and the transport declare, and further ones.

        `keys`: those of the exchange. Those of engines are looked up here. Raises ResolveError.
        """
        deployment = self._deployment
        environment = deployment.environment
        transport: Transport = TRANSPORTS[environment.transport.type](
            deployment.transport, environment.name, deployment.config_dir
        )
        declared = [*map(self._named, self.writer.companions()), *transport.companions(self._shard), *further]
        engines = {kind for companion in declared for kind in companion.keys if is_of_engine(kind)}
        keys = {**keys, **self.keys.of_engines(engines)}
        return Companions(declared, self.status, keys=keys, environ=self._environ)

    def _named(self, companion: Companion) -> Companion:
        """Return a companion with the names of this deployment in its arguments."""
        names = {ENVIRONMENT: self._deployment.environment.name, CONFIG_DIR: self._deployment.config_dir}
        return companion._replace(arguments=[names.get(word, word) for word in companion.arguments])


def _tap(deployment: Deployment) -> Tap:
    """Return what shows messages on the page, except those that are private to an account."""
    dialect = deployment.dialect
    return Tap(dialect_of(deployment).reader(), lambda type: topic_of(dialect, type).section != PRIVATE)


@dataclass(frozen=True)
class ClosedRun:
    """A wait for the opening, put together and ready to start."""

    closed: Closed
    error_counts: ErrorCounts
    server: HealthServer
    """Of the probes."""
    warnings: Sequence[Problem]
    """What people should do about the keys."""


def assemble_closed(
    deployment: Deployment,
    environ: Mapping[str, str],
    listen: tuple[str, int],
    until: int,
    status_line: Callable[[str], None] | None = None,
    *,
    shard: Shard = WHOLE,
    page: str = STATUS,
    clock: Callable[[], int] = time.time_ns,
) -> ClosedRun:
    """Construct what waits for the opening at `until`, Unix seconds. Raises what assemble() raises; starts nothing.

    The keys are looked up now, so that a missing one does not show only at the opening.
    """
    beside = Beside(deployment, environ, shard, page, clock)
    with beside.error_counts, beside.keys.explaining():
        require_shard(deployment, shard)
        keys: Keys = {} if is_simulated(deployment) else beside.keys.of_exchange()
        companions = beside.companions(keys)
        server = beside.probes(listen)
    folder = beside.writer.state_folder
    if not (folder is None or folder.exists()):
        beside.status.companions.clear()  # Before the first run there is nothing that one could work on.
        companions = Companions([], beside.status)
    closed = Closed(
        until,
        beside.status,
        [server, beside.measures],
        companions,
        clock=clock,
        status_line=status_line or (lambda text: None),
    )
    return ClosedRun(closed, beside.error_counts, server, beside.keys.warnings)


def alarms(
    deployment: Deployment, today: date | None, hours: OpenHours | None, clock: Callable[[], int]
) -> list[Service]:
    """Return what ends a run at the closing of its schedule, and when another version of its feed comes into force.

    `today`: the day on which the metadata was loaded; None for that of the clock.
    """
    today = today or datetime.fromtimestamp(clock() / 1e9, UTC).date()
    found: list[Service] = []
    if hours is not None and hours.closes is not None:
        found.append(Alarm(hours.closes * 10**9, lambda: hours.reason, clock))
    following = deployment.feed.next_version(deployment.version, today)
    if following is not None:
        day, version = following

        def ring() -> str:
            label = printable(version.version, 40)
            raise NewVersion(f"version {label} of the feed is in force since {day}; a restart takes it")

        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        found.append(Alarm(int(midnight.timestamp()) * 10**9, ring, clock))
    return found
