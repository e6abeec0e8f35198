"""What the catalogs offer, and the dialect of a deployment."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.connector import CONNECTORS
from ssmd.contracts.dialect import Dialect
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.parts import Parts
from ssmd.resolver import RESOLVERS
from ssmd.shipping import TRANSPORTS, engine_of
from ssmd.wiring.source import simulator_fault, simulator_lists
from ssmd.writer import WRITERS

__all__ = ["dialect_of", "parts"]


def parts() -> Parts:
    """Return what the catalogs offer, for the loader."""
    return Parts(
        connectors={name: part.Config for name, part in CONNECTORS.items()},
        writers={name: part.Config for name, part in WRITERS.items()},
        transports={name: part.Config for name, part in TRANSPORTS.items()},
        credentials=_credentials(),
        exchanges=EXCHANGES,
        dialects={name: part.dialect_of for name, part in CONNECTORS.items() if hasattr(part, "dialect_of")},
        resolvers=RESOLVERS,
        endpoints={"sim": simulator_fault},
        lists={"sim": simulator_lists},
    )


def _credentials() -> dict[str, Sequence[Sequence[str]]]:
    """Return by the name of each engine, of a transport or of a storage, the ways to log in there."""
    engines = {name: engine.credentials for name in TRANSPORTS if (engine := engine_of(name)) is not None}
    return engines | {name: part.credentials for name, part in WRITERS.items() if hasattr(part, "credentials")}


def dialect_of(deployment: Deployment) -> Dialect:
    """Return the dialect of a deployment, as a feed of its type needs it, for the messages of its description."""
    found: Dialect = parts().dialect(deployment.dialect, deployment.feed.type)
    return found.described(deployment.description)
