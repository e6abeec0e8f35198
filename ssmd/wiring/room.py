"""Whether the markets that an environment names are not too many for one connection of its feed."""

from __future__ import annotations

from ssmd.contracts.shard import Shard
from ssmd.errors import ConfigError
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.deployment import Deployment

__all__ = ["require_room"]


def require_room(deployment: Deployment, shard: Shard) -> None:
    """Raise ConfigError when the part of a shard is more than `max_symbols_per_connection`."""
    most = deployment.version.max_symbols_per_connection
    dialect = EXCHANGES[deployment.dialect].described(deployment.description)
    if most is None or not dialect.can_be_divided:  # If it cannot be divided, the loader has counted them.
        return
    count = sum(map(shard.takes, dialect.markets(deployment.environment.subscribe)))
    if count > most:
        whose = "" if shard.is_whole else f" for shard {shard}"
        remedy = "remove some, or divide them among more shards with --shard"
        message = f"has {count} markets{whose}; the feed allows {most} (max_symbols_per_connection); {remedy}"
        raise ConfigError(str(deployment.problem(("subscribe",), message)))
