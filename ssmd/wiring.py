"""The composition root: the only file that picks the parts of a run and puts them together."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from ssmd import __version__
from ssmd.connector import CONNECTORS
from ssmd.contracts.companion import Companion
from ssmd.contracts.connector import Connector
from ssmd.contracts.exchange import Exchange, SnapshotPolicy
from ssmd.contracts.service import Service
from ssmd.contracts.transport import Transport
from ssmd.contracts.writer import Writer
from ssmd.errors import ConfigError, ResolveError
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.keys import EXCHANGE_KEY
from ssmd.metadata.model import Environment
from ssmd.metadata.parts import Parts
from ssmd.metadata.problem import Problem
from ssmd.resolver import RESOLVERS
from ssmd.runtime.channels import Limits
from ssmd.runtime.companions import Companions
from ssmd.runtime.error_counts import ErrorCounts
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reader import RunParts
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.runner import Runner
from ssmd.runtime.status import Status
from ssmd.server.health import HealthServer, make_app
from ssmd.server.status import STATUS, About, describe
from ssmd.shipping import TRANSPORTS
from ssmd.writer import WRITERS

__all__ = ["Run", "assemble", "key_problems", "parts"]

Keys = Mapping[str, Mapping[str, str]]
"""The fields of the keys by type, each a mapping of names to values."""


@dataclass(frozen=True)
class Run:
    """A run, put together and ready to start."""

    runner: Runner
    reporter: Reporter
    error_counts: ErrorCounts
    port: int
    """Where the probes are served."""


def parts() -> Parts:
    """Return what the catalogs offer, for the loader."""
    return Parts(
        connectors={name: part.Config for name, part in CONNECTORS.items()},
        writers={name: part.Config for name, part in WRITERS.items()},
        transports={name: part.Config for name, part in TRANSPORTS.items()},
        exchanges=EXCHANGES,
        resolvers=RESOLVERS,
        endpoints={"sim": _simulator_fault},
    )


def key_problems(deployment: Deployment, environ: Mapping[str, str]) -> list[Problem]:
    """Return which keys of the environment cannot be found, or do not suit the exchange."""
    if _is_simulated(deployment):
        return []
    keys, problems = _resolve(deployment, environ)
    if not problems:
        try:
            _dialect(deployment, keys)
        except ConfigError as error:
            problems.append(deployment.problem(("keys",), str(error)))
    return problems


def _resolve(deployment: Deployment, environ: Mapping[str, str]) -> tuple[Keys, list[Problem]]:
    """Return the fields of all keys that can be found, and which required keys cannot."""
    keys: dict[str, dict[str, str]] = {}
    problems = []
    for name, key in deployment.environment.keys.items():
        try:
            found = RESOLVERS[key.source_scheme](environ).resolve(key.at(name))
        except ResolveError as error:
            if key.required:
                problems.append(deployment.problem(("keys", name), str(error)))
            continue
        keys.setdefault(key.type, {}).update(found)
    return keys, problems


def assemble(
    deployment: Deployment,
    environ: Mapping[str, str],
    listen: tuple[str, int],
    status_line: Callable[[str], None] | None = None,
    *,
    page: str = STATUS,
    clock: Callable[[], int] = time.time_ns,
) -> Run:
    """Choose and construct every part. Raises ConfigError, ResolveError or ListenError; starts nothing.

    `listen`: host and port for the probes. `status_line`: shows a line of state, once a second. `page`: how much
    /status shows, one of server.status.LEVELS. What it raises is counted beside the data, where the next run finds it.
    """
    feed = deployment.feed.name
    status = Status()
    registry = CollectorRegistry()
    metrics = Metrics(registry, feed, status)
    make_writer = WRITERS[deployment.environment.storage.type]
    writer: Writer = make_writer(deployment.storage, feed, status=status, clock=clock)
    error_counts = ErrorCounts(writer.state_folder, feed, metrics.errors)
    error_counts.load()
    about = _about(deployment, error_counts, clock())
    with error_counts:
        source = _simulated(deployment) if _is_simulated(deployment) else _live(deployment, environ)
        connector, exchange = _connection(deployment, source)
        server = HealthServer(*listen, make_app(status, registry, lambda: describe(status, about, page)))
    reporter = Reporter(feed, status, status_line)
    runner = Runner(
        RunParts(feed, connector, exchange, writer),
        status=status,
        metrics=metrics,
        reporter=reporter,
        services=[server, *source.services],
        companions=Companions(_companions(deployment, writer), status, keys=source.keys, environ=environ),
        identity=_identity(deployment),
        limits=_limits(deployment.environment),
        clock=clock,
    )
    return Run(runner, reporter, error_counts, server.port)


def _about(deployment: Deployment, error_counts: ErrorCounts, started_ns: int) -> About:
    return About(
        feed=deployment.feed.name,
        environment=deployment.environment.name,
        exchange=deployment.dialect,
        endpoint=deployment.shown_endpoint,
        started_ns=started_ns,
        earlier_errors=lambda: error_counts.earlier,
    )


def _companions(deployment: Deployment, writer: Writer) -> list[Companion]:
    environment = deployment.environment
    transport: Transport = TRANSPORTS[environment.transport.type](
        deployment.transport, environment.name, deployment.config_dir
    )
    return [*writer.companions(), *transport.companions()]


class _Source(NamedTuple):
    """Where the messages come from."""

    endpoint: str
    keys: Keys
    direct: bool = False
    """Without the proxy of the environment."""
    services: Sequence[Service] = ()


def _connection(deployment: Deployment, source: _Source) -> tuple[Connector, Exchange]:
    try:
        exchange = _dialect(deployment, source.keys)
    except ConfigError as error:
        raise ConfigError(str(deployment.problem(("keys",), str(error)))) from None
    connector: Connector = CONNECTORS[deployment.feed.type](
        source.endpoint,
        exchange,
        deployment.connection,
        data_timeout_seconds=deployment.environment.data_timeout_seconds,
        direct=source.direct,
    )
    return connector, exchange


def _live(deployment: Deployment, environ: Mapping[str, str]) -> _Source:
    keys, problems = _resolve(deployment, environ)
    if problems:
        hint = "; to see ssmd at work without keys, run kalshi-sim"
        raise ResolveError("\n".join(f"{problem}{hint}" for problem in problems))
    return _Source(deployment.version.endpoint, keys)


def _simulated(deployment: Deployment) -> _Source:
    # Imported here: production code has nothing to do with the simulator unless the endpoint says so.
    from ssmd.sim.embedded import embedded

    # Its only client is this process, so only what goes wrong is worth a line.
    logging.getLogger("ssmd.sim").setLevel(logging.WARNING)
    simulator = embedded(deployment.version.endpoint)
    return _Source(simulator.endpoint, {EXCHANGE_KEY: simulator.keys}, True, [simulator.service])


def _simulator_fault(endpoint: str, dialect: str) -> str | None:
    from ssmd.sim.embedded import read_settings

    try:
        needed = read_settings(endpoint).dialect
    except ConfigError as error:
        return str(error)
    if dialect in EXCHANGES and dialect != needed:
        simulated = urlsplit(endpoint).netloc
        return f"simulates {simulated}, and the feed's dialect is `{dialect}`; set `exchange: {needed}` beside it"
    return None


def _identity(deployment: Deployment) -> dict[str, object]:
    """Return the fields of the ledger's `started`. The hash shows whether two runs had the same configuration."""
    sections: list[Any] = [deployment.environment, deployment.feed, deployment.version]
    sections += [deployment.connection, deployment.storage, deployment.transport]
    configuration = json.dumps([asdict(section) for section in sections], default=str)
    return {
        "version": __version__,
        "configuration": f"sha256:{hashlib.sha256(configuration.encode()).hexdigest()}",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "exchange": deployment.dialect,
        "environment": deployment.environment.name,
        "description": EXCHANGES[deployment.dialect].needed_to_read(deployment.description),
    }


def _dialect(deployment: Deployment, keys: Keys) -> Exchange:
    environment, version = deployment.environment, deployment.version
    policy = SnapshotPolicy(*astuple(environment.snapshots))
    dialect = EXCHANGES[deployment.dialect].described(deployment.description)
    return dialect(keys.get(EXCHANGE_KEY, {}), environment.subscribe, policy, version.rate_limit_per_second)


def _limits(environment: Environment) -> Limits:
    return Limits(environment.silent_after_seconds or math.inf, environment.channel_timeout_seconds)


def _is_simulated(deployment: Deployment) -> bool:
    return deployment.version.endpoint_scheme == "sim"
