"""The composition root: the only file that picks the parts of a run and puts them together."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date

from ssmd import __version__
from ssmd.bucket import lack
from ssmd.connector import CONNECTORS
from ssmd.contracts.connector import Connector
from ssmd.contracts.dialect import Terms
from ssmd.contracts.exchange import Exchange, SnapshotPolicy
from ssmd.contracts.observer import Observer
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import ConfigError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.keys import EXCHANGE_KEY
from ssmd.metadata.model import Environment
from ssmd.metadata.problem import Problem
from ssmd.metadata.schedule import silences_of
from ssmd.observing.harmless import Harmless
from ssmd.runtime.channels import Limits
from ssmd.runtime.error_counts import ErrorCounts
from ssmd.runtime.open_hours import OpenHours
from ssmd.runtime.reader import RunParts
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.runner import Runner
from ssmd.server.health import HealthServer
from ssmd.server.levels import STATUS
from ssmd.shipping import engine_of
from ssmd.wiring.beside import Beside, ClosedRun, alarms, assemble_closed
from ssmd.wiring.catalogs import dialect_of, parts
from ssmd.wiring.configuration import configuration_of
from ssmd.wiring.keys import KeyRing, Keys, is_of_engine
from ssmd.wiring.listing import listing_parts
from ssmd.wiring.room import require_shard
from ssmd.wiring.schema_check import schema_observer
from ssmd.wiring.source import Source, is_simulated, rest_endpoint, source_of
from ssmd.writer.s3 import S3Storage

__all__ = ["ClosedRun", "Run", "assemble", "assemble_closed", "followed", "key_problems", "parts", "shipped"]


@dataclass(frozen=True)
class Run:
    """A run, put together and ready to start."""

    runner: Runner
    reporter: Reporter
    error_counts: ErrorCounts
    server: HealthServer
    """Of the probes."""
    warnings: Sequence[Problem]
    """What people should do about the keys."""


def followed(deployment: Deployment) -> Sequence[str]:
    """Return which markets the environment follows, for people, one text for each subscription that follows some."""
    return dialect_of(deployment).followed(deployment.environment.subscribe)


def shipped(deployment: Deployment) -> list[str]:
    """Return to where the environment's messages are shipped, for people, and what has to be installed before that."""
    environment = deployment.environment
    found: list[tuple[str, str | None]] = []
    engine = engine_of(environment.transport.type)
    if engine is not None:
        transport = engine(deployment.transport, environment.name, deployment.config_dir)
        found.append((transport.described(), transport.lack()))
    storage = deployment.storage
    if isinstance(storage, S3Storage):
        found.append((str(storage.address), lack(storage.address)))
    return [place + (f"; {missing}" if missing else "") for place, missing in found]


def key_problems(deployment: Deployment, environ: Mapping[str, str]) -> list[Problem]:
    """Return which keys of the environment cannot be found, do not suit the exchange, or need some care."""
    ring = KeyRing(deployment, environ)
    engines = (deployment.environment.transport.type, deployment.environment.storage.type)
    _, of_engine = ring.try_all(lambda kind: kind in engines and is_of_engine(kind))
    problems: list[Problem] = []
    if not is_simulated(deployment):
        keys, problems = ring.try_all(lambda kind: not is_of_engine(kind))
        if not problems:
            try:
                _dialect(deployment, keys, rest_endpoint(deployment))
            except ConfigError as error:
                problems.append(deployment.problem(("keys",), str(error)))
    return problems + of_engine + ring.warnings


def assemble(
    deployment: Deployment,
    environ: Mapping[str, str],
    listen: tuple[str, int],
    status_line: Callable[[str], None] | None = None,
    *,
    shard: Shard = WHOLE,
    page: str = STATUS,
    clock: Callable[[], int] = time.time_ns,
    today: date | None = None,
    hours: OpenHours | None = None,
) -> Run:
    """Choose and construct every part. Raises ConfigError, ResolveError or ListenError; starts nothing.

    `listen`: of the probes. `status_line`: shows a line of state, once a second. `page`: one of server.levels.LEVELS.
    `today`: when the metadata was loaded. `hours`: the present open hours; None without a schedule. Errors are counted.
    """
    beside = Beside(deployment, environ, shard, page, clock, hours)
    with beside.error_counts, beside.keys.explaining():
        source = source_of(deployment, beside.keys)
        connector, exchange = _connection(deployment, source, shard)
        listing = listing_parts(deployment, shard, exchange, beside.status, clock, direct=source.direct)
        companions = beside.companions(source.keys, listing.companions)
        server = beside.probes(listen)
    reporter = Reporter(beside.feed, beside.status, status_line)
    observers = _observers(deployment, beside, exchange, shard, clock)
    runner = Runner(
        RunParts(beside.feed, connector, exchange, beside.writer, observers),
        status=beside.status,
        metrics=beside.metrics,
        reporter=reporter,
        services=[server, beside.measures, *source.services, *alarms(deployment, today, hours, clock)],
        companions=companions,
        identity=_identity(deployment, shard),
        limits=_limits(deployment.environment),
        open_hours=hours,
        lister=listing.lister,
        clock=clock,
    )
    return Run(runner, reporter, beside.error_counts, server, beside.keys.warnings)


def _observers(
    deployment: Deployment, beside: Beside, exchange: Exchange, shard: Shard, clock: Callable[[], int]
) -> list[Observer]:
    """Return what looks at the messages: only what is asked for. The page's tap comes and goes."""
    drift = _drift(deployment, exchange, beside, shard, clock)
    check = schema_observer(deployment, exchange, beside.status)
    observers: list[Observer] = [Harmless(check)] if check is not None else []
    if drift is not None:
        observers.append(drift)
    if beside.tap is not None:
        beside.tap.join(observers)
    return observers


def _drift(
    deployment: Deployment, exchange: Exchange, beside: Beside, shard: Shard, clock: Callable[[], int]
) -> Observer | None:
    if deployment.environment.drift_check == "off":
        return None
    from ssmd.wiring.drift import shape_observer  # Not at the top: it takes 4 MB.

    return shape_observer(deployment, exchange, beside.writer.state_folder, shard, beside.status, clock)


def _connection(deployment: Deployment, source: Source, shard: Shard) -> tuple[Connector, Exchange]:
    require_shard(deployment, shard)
    try:
        exchange = _dialect(deployment, source.keys, source.rest_endpoint, shard)
    except ConfigError as error:
        raise ConfigError(str(deployment.problem(("keys",), str(error)))) from None
    connector: Connector = CONNECTORS[deployment.feed.type](
        source.endpoint,
        exchange,
        deployment.connection,
        data_timeout_seconds=None if exchange.idle else deployment.environment.data_timeout_seconds,
        direct=source.direct,
    )
    return connector, exchange


def _identity(deployment: Deployment, shard: Shard) -> dict[str, object]:
    """Return the fields of the ledger's `started`. The hash shows whether two runs had the same configuration."""
    return {
        "version": __version__,
        "configuration": configuration_of(deployment),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "exchange": deployment.dialect,
        "environment": deployment.environment.name,
        "shard": shard.label,
        "description": dialect_of(deployment).needed_to_read(deployment.description),
        **({} if deployment.definition is None else {"schema": deployment.environment.schema}),
    }


def _dialect(deployment: Deployment, keys: Keys, rest_endpoint: str, shard: Shard = WHOLE) -> Exchange:
    environment, version = deployment.environment, deployment.version
    terms = Terms(
        SnapshotPolicy(*astuple(environment.snapshots)),
        version.rate_limit_per_second,
        shard,
        rest_endpoint,
        version.max_symbols_per_connection,
    )
    return dialect_of(deployment)(keys.get(EXCHANGE_KEY, {}), environment.subscribe, terms)


def _limits(environment: Environment) -> Limits:
    return Limits(
        environment.silent_after_seconds or math.inf, environment.channel_timeout_seconds, silences_of(environment)
    )
