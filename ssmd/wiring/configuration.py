"""What makes up the configuration of a run, and its hash, which shows whether two runs had the same one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from ssmd.metadata.deployment import Deployment

__all__ = ["configuration_of", "sections_of"]


def sections_of(deployment: Deployment) -> list[Any]:
    """Return the environment, its feed, the feed's version, and the configurations of the parts."""
    sections: list[Any] = [deployment.environment, deployment.feed, deployment.version]
    return [*sections, deployment.connection, deployment.storage, deployment.transport]


def configuration_of(deployment: Deployment) -> str:
    """Return the hash for the ledger."""
    configuration = json.dumps([asdict(section) for section in sections_of(deployment)], default=str)
    return f"sha256:{hashlib.sha256(configuration.encode()).hexdigest()}"
