"""The composition root: the only file that picks the parts of a run and puts them together."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from ssmd import __version__
from ssmd.connector import CONNECTORS
from ssmd.errors import ConfigError, ResolveError
from ssmd.exchange import EXCHANGES
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.problem import Problem
from ssmd.metrics import Metrics
from ssmd.resolver import RESOLVERS
from ssmd.runtime.endings import Endings
from ssmd.runtime.interfaces import Exchange, Service
from ssmd.runtime.report import Reporter
from ssmd.runtime.runner import Runner
from ssmd.runtime.sealer import Sealer
from ssmd.runtime.status import Status
from ssmd.server.health import HealthServer, make_app
from ssmd.writer import WRITERS

__all__ = ["Run", "assemble", "key_problems", "require_served", "unserved"]

TRANSPORTS = ("memory",)
"""Between reader and writer: a queue in memory. Others are names of the future."""


@dataclass(frozen=True)
class Run:
    """A run, put together and ready to start."""

    runner: Runner
    reporter: Reporter
    endings: Endings
    port: int
    """Where the probes are served."""


def unserved(deployment: Deployment) -> list[Problem]:
    """What the metadata asks for, rightly written, that no part in the catalogs can serve."""
    environment, feed, version = deployment.environment, deployment.feed, deployment.version
    problems = []

    def need(value: str, catalog: Collection[str], path: tuple[str | int, ...], in_feed: bool = False) -> None:
        if value not in catalog:
            message = f"{value!r} is not served yet; today: {', '.join(catalog)}"
            problems.append(deployment.problem(path, message, of="feed" if in_feed else "environment"))

    need(feed.type, CONNECTORS, ("type",), in_feed=True)
    need(_dialect_name(deployment), EXCHANGES, ("versions", deployment.version_index, "exchange"), in_feed=True)
    need(environment.storage.type, WRITERS, ("storage", "type"))
    need(environment.transport.type, TRANSPORTS, ("transport", "type"))
    for name, key in environment.keys.items():
        need(key.source_scheme, RESOLVERS, ("keys", name, "source"))
    tickers = environment.subscribe.get("market_tickers")
    most = version.max_symbols_per_connection
    if isinstance(tickers, list) and most is not None and len(tickers) > most:
        message = f"has {len(tickers)} entries; the feed allows {most} (max_symbols_per_connection)"
        problems.append(deployment.problem(("subscribe", "market_tickers"), message))
    if _is_simulated(deployment):
        from ssmd.sim.embedded import read_settings

        try:
            read_settings(version.endpoint)
        except ConfigError as error:
            path = ("versions", deployment.version_index, "endpoint")
            problems.append(deployment.problem(path, str(error), of="feed"))
    dialect = EXCHANGES.get(_dialect_name(deployment))
    if dialect is not None:
        for problem in dialect.check(environment.subscribe):
            found = deployment.problem(("subscribe", *problem.path), problem.message)
            problems.append(found._replace(warning=problem.warning))
    return problems


def require_served(deployment: Deployment) -> list[Problem]:
    """Refuse a deployment that cannot be served; return what is worth a warning. Raises ConfigError."""
    problems = [*deployment.warnings, *unserved(deployment)]
    errors = [str(problem) for problem in problems if not problem.warning]
    if errors:
        raise ConfigError("\n".join(errors))
    return problems


def key_problems(deployment: Deployment, environ: Mapping[str, str]) -> list[Problem]:
    """Which keys of the environment cannot be had, or are not fit for the exchange."""
    if _is_simulated(deployment):
        return []
    keys, problems = _resolve(deployment, environ)
    if not problems and _dialect_name(deployment) in EXCHANGES:
        try:
            _dialect(deployment, keys)
        except ConfigError as error:
            problems.append(deployment.problem(("keys",), str(error)))
    return problems


def _resolve(deployment: Deployment, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """The exchange's key fields, by name, and what is missing. A key that is not required may be."""
    fields: dict[str, str] = {}
    problems = []
    for name, key in deployment.environment.keys.items():
        resolver = RESOLVERS.get(key.source_scheme)
        if resolver is None:
            continue  # unserved() tells.
        try:
            values = resolver(environ).resolve(key.resolved_source(name))
        except ResolveError as error:
            if key.required:
                problems.append(deployment.problem(("keys", name), str(error)))
            continue
        if key.type == "api_key":
            fields.update(zip(key.fields, values.values(), strict=True))
    return fields, problems


def assemble(
    deployment: Deployment,
    environ: Mapping[str, str],
    listen: tuple[str, int],
    status_line: Callable[[str], None] | None = None,
    *,
    clock: Callable[[], int] = time.time_ns,
) -> Run:
    """Choose and construct every part. Raises ConfigError, ResolveError or ListenError; starts nothing.

    `listen`: host and port for the probes. `status_line`: shows a line of state, once a second.
    """
    environment, feed, version = deployment.environment, deployment.feed, deployment.version
    status = Status()
    registry = CollectorRegistry()
    metrics = Metrics(registry, feed.name, status)
    services: list[Service] = []
    endpoint, direct = version.endpoint, False
    if _is_simulated(deployment):
        # Imported here: production code has nothing to do with the simulator unless the endpoint says so.
        from ssmd.sim.embedded import embedded

        # Its clients are ourselves, so only what goes wrong is worth a line.
        logging.getLogger("ssmd.sim").setLevel(logging.WARNING)
        simulator = embedded(endpoint)
        services.append(simulator.service)
        endpoint, keys, direct = simulator.endpoint, dict(simulator.keys), True
    else:
        keys, problems = _resolve(deployment, environ)
        if problems:
            hint = "; to see ssmd at work without keys, run kalshi-sim"
            raise ResolveError("\n".join(f"{problem}{hint}" for problem in problems))
    try:
        exchange = _dialect(deployment, keys)
    except ConfigError as error:
        raise ConfigError(str(deployment.problem(("keys",), str(error)))) from None
    connector = CONNECTORS[feed.type](
        endpoint,
        exchange,
        idle_timeout_seconds=version.idle_timeout_seconds,
        max_message_bytes=version.max_message_bytes,
        data_timeout_seconds=environment.data_timeout_seconds,
        coalesce_seconds=version.coalesce_seconds,
        direct=direct,
    )
    writer = WRITERS[environment.storage.type](
        environment.storage, feed.name, status=status, metrics=metrics, clock=clock
    )
    if environment.storage.type == "local":
        services.append(Sealer(Path(environment.storage.path or "."), feed.name, status=status, metrics=metrics))
    server = HealthServer(*listen, make_app(status, registry))
    reporter = Reporter(feed.name, status, status_line)
    runner = Runner(
        feed.name,
        connector,
        exchange,
        writer,
        status=status,
        metrics=metrics,
        reporter=reporter,
        services=[server, *services],
        identity=_identity(deployment),
        clock=clock,
    )
    endings = Endings(Path(environment.storage.path or ".") / f".{feed.name}.errors", metrics.errors)
    return Run(runner, reporter, endings, server.port)


def _identity(deployment: Deployment) -> dict[str, object]:
    """What the ledger says of who has collected. The hash tells whether two runs had the same configuration."""
    parts = (deployment.environment, deployment.feed, deployment.version)
    configuration = json.dumps([asdict(part) for part in parts], default=str)
    return {
        "version": __version__,
        "configuration": f"sha256:{hashlib.sha256(configuration.encode()).hexdigest()}",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "exchange": _dialect_name(deployment),
        "environment": deployment.environment.name,
    }


def _dialect_name(deployment: Deployment) -> str:
    named = deployment.version.exchange
    return named or (deployment.feed.name if deployment.feed.name in EXCHANGES else "generic")


def _dialect(deployment: Deployment, keys: Mapping[str, str]) -> Exchange:
    return EXCHANGES[_dialect_name(deployment)](keys, deployment.environment.subscribe)


def _is_simulated(deployment: Deployment) -> bool:
    return urlsplit(deployment.version.endpoint).scheme == "sim"
