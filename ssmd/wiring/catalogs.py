"""What the catalogs offer, and the dialect of a deployment."""

from __future__ import annotations

from ssmd.catalog import Declared
from ssmd.connector import CONNECTORS
from ssmd.contracts.dialect import Dialect
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.parts import Parts
from ssmd.resolver import RESOLVERS
from ssmd.shipping import TRANSPORTS
from ssmd.wiring.source import simulator_fault, simulator_lists
from ssmd.writer import WRITERS

__all__ = ["dialect_of", "parts"]


def parts() -> Parts:
    """Return what the catalogs offer, for the loader."""
    return Parts(
        connectors=Declared("Config", CONNECTORS),
        writers=Declared("Config", WRITERS),
        transports=Declared("Config", TRANSPORTS),
        credentials=Declared("credentials", TRANSPORTS, WRITERS),
        exchanges=EXCHANGES,
        dialects=Declared("dialect_of", CONNECTORS),
        resolvers=RESOLVERS,
        endpoints={"sim": simulator_fault},
        lists={"sim": simulator_lists},
    )


def dialect_of(deployment: Deployment) -> Dialect:
    """Return the dialect of a deployment, as a feed of its type needs it, for the messages of its description."""
    found: Dialect = parts().dialect(deployment.dialect, deployment.feed.type)
    return found.described(deployment.description)
