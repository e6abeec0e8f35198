"""Where the messages of a run come from: the exchange with its keys, or a simulator."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ssmd.contracts.service import Service
from ssmd.errors import ConfigError
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.keys import EXCHANGE_KEY
from ssmd.wiring.keys import KeyRing, Keys

__all__ = [
    "Source",
    "is_simulated",
    "rest_endpoint",
    "simulator_fault",
    "simulator_lists",
    "source_of",
]


class Source(NamedTuple):
    """Where the messages come from."""

    endpoint: str
    rest_endpoint: str
    """Empty when the feed has none."""
    keys: Keys
    direct: bool = False
    """Without the proxy of the environment."""
    services: Sequence[Service] = ()


def source_of(deployment: Deployment, keys: KeyRing) -> Source:
    """Return where the messages come from, with the keys for it. Raises ResolveError."""
    if is_simulated(deployment):
        return _simulated(deployment)
    return Source(deployment.version.endpoint, rest_endpoint(deployment), keys.of_exchange())


def rest_endpoint(deployment: Deployment) -> str:
    """Return where the exchange's REST interface is; empty when that is not known."""
    version = deployment.version
    return version.rest_endpoint or EXCHANGES[deployment.dialect].rest_endpoint(version.endpoint)


def _simulated(deployment: Deployment) -> Source:
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
