"""Whether an environment can be collected as a shard, and whether one connection has room for its markets."""

from __future__ import annotations

from ssmd.contracts.shard import Shard
from ssmd.errors import ConfigError
from ssmd.metadata.deployment import Deployment
from ssmd.wiring.catalogs import dialect_of

__all__ = ["require_shard"]


def require_shard(deployment: Deployment, shard: Shard) -> None:
    """Raise ConfigError when the environment cannot be divided, or when the part of the shard is more than
    `max_symbols_per_connection`.
    """
    dialect = dialect_of(deployment)
    if not (shard.is_whole or dialect.can_be_divided):
        reason = "it is not known which of its messages or requests asks for which markets"
        remedy = "divide them among several environments, each with a feed of its own"
        message = f"cannot be collected as shard {shard}: {reason}; {remedy}"
        raise ConfigError(str(deployment.problem(("subscribe",), message)))
    most = deployment.version.max_symbols_per_connection
    if most is None or not dialect.can_be_divided:  # If it cannot be divided, the loader has counted them.
        return
    count = sum(map(shard.takes, dialect.markets(deployment.environment.subscribe)))
    if count > most:
        whose = "" if shard.is_whole else f" for shard {shard}"
        remedy = "remove some, or divide them among more shards with --shard"
        message = f"has {count} markets{whose}; the feed allows {most} (max_symbols_per_connection); {remedy}"
        raise ConfigError(str(deployment.problem(("subscribe",), message)))
