"""Where the messages of a run come from: the exchange with its keys, or a simulator."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ssmd.contracts.service import Service
from ssmd.errors import ConfigError, ResolveError
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.keys import ENGINE_KEYS, EXCHANGE_KEY
from ssmd.metadata.problem import Problem
from ssmd.resolver.fields import fields_of

__all__ = [
    "Keys",
    "Source",
    "engine_keys",
    "is_of_engine",
    "is_simulated",
    "live",
    "resolve",
    "rest_endpoint",
    "simulated",
    "simulator_fault",
    "simulator_lists",
]

Keys = Mapping[str, Mapping[str, str]]
"""The fields of the keys by type, each a mapping of names to values."""


class Source(NamedTuple):
    """Where the messages come from."""

    endpoint: str
    rest_endpoint: str
    """Empty when the feed has none."""
    keys: Keys
    direct: bool = False
    """Without the proxy of the environment."""
    services: Sequence[Service] = ()


def resolve(
    deployment: Deployment, environ: Mapping[str, str], is_wanted: Callable[[str], bool]
) -> tuple[Keys, list[Problem]]:
    """Return the fields of all keys that can be found, of the types that are wanted, and which required keys cannot."""
    wanted = {name: key for name, key in deployment.environment.keys.items() if is_wanted(key.type)}
    keys, missing = fields_of(wanted, environ)
    return keys, [deployment.problem(("keys", name), reason) for name, reason in missing.items()]


def live(deployment: Deployment, environ: Mapping[str, str]) -> Source:
    keys, problems = resolve(deployment, environ, lambda kind: not is_of_engine(kind))
    if problems:
        hint = "; to see ssmd at work without keys, run kalshi-sim"
        raise ResolveError("\n".join(f"{problem}{hint}" for problem in problems))
    return Source(deployment.version.endpoint, rest_endpoint(deployment), keys)


def is_of_engine(kind: str) -> bool:
    """Return whether keys of this type are for an engine. Others are for the exchange, or for nothing that is known."""
    return kind in ENGINE_KEYS


def engine_keys(deployment: Deployment, environ: Mapping[str, str], engines: Collection[str]) -> Keys:
    """Return the fields of the keys of these engines. Raises ResolveError."""
    keys, problems = resolve(deployment, environ, engines.__contains__)
    if problems:
        raise ResolveError("\n".join(map(str, problems)))
    return keys


def rest_endpoint(deployment: Deployment) -> str:
    """Return where the exchange's REST interface is; empty when that is not known."""
    version = deployment.version
    return version.rest_endpoint or EXCHANGES[deployment.dialect].rest_endpoint(version.endpoint)


def simulated(deployment: Deployment) -> Source:
    # Imported here: production code has nothing to do with the simulator unless the endpoint says so.
    from ssmd.sim.embedded import embedded

    # Its only client is this process, so only what goes wrong is worth a line.
    logging.getLogger("ssmd.sim").setLevel(logging.WARNING)
    simulator = embedded(deployment.version.endpoint)
    rest_endpoint = deployment.version.rest_endpoint or simulator.rest_endpoint
    return Source(simulator.endpoint, rest_endpoint, {EXCHANGE_KEY: simulator.keys}, True, [simulator.service])


def simulator_fault(endpoint: str, dialect: str) -> str | None:
    from ssmd.sim.embedded import read_settings

    try:
        needed = read_settings(endpoint).dialect
    except ConfigError as error:
        return str(error)
    if dialect in EXCHANGES and dialect != needed:
        simulated = urlsplit(endpoint).netloc
        return f"simulates {simulated}, and the feed's dialect is `{dialect}`; set `exchange: {needed}` beside it"
    return None


def simulator_lists(endpoint: str) -> bool:
    from ssmd.sim.embedded import read_settings

    try:
        return read_settings(endpoint).lists
    except ConfigError:
        return True  # simulator_fault() says what is wrong.


def is_simulated(deployment: Deployment) -> bool:
    return deployment.version.endpoint_scheme == "sim"
