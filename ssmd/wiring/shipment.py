"""Loads what `ssmd ship` needs of an environment. It imports the libraries of a run, so this is for another process."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

from ssmd.contracts.writer import Writer
from ssmd.errors import ConfigError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.load_in_child import load_in_process
from ssmd.metadata.problem import excerpt
from ssmd.runtime.status import Status
from ssmd.shipping import engine_of
from ssmd.shipping.shipment import Shipment
from ssmd.wiring import parts
from ssmd.writer import WRITERS

__all__ = ["load_shipment"]


def load_shipment(config_dir: Path, environment: str, today: date) -> Shipment:
    """Return what is to be shipped. Raises ConfigError, also for an environment that ships nothing."""
    deployment = load_in_process(config_dir, environment, today, parts())
    kind = deployment.environment.transport.type
    if engine_of(kind) is None:
        message = f"is `{kind}`, which hands nothing on; name an engine to ship to"
        raise ConfigError(str(deployment.problem(("transport", "type"), message)))
    writer: Writer = WRITERS[deployment.environment.storage.type](
        deployment.storage, deployment.feed.name, status=Status(), clock=time.time_ns
    )
    if writer.state_folder is None:
        raise ConfigError(str(deployment.problem(("storage", "type"), "keeps no files that could be shipped")))
    _require_another_folder(deployment, writer.state_folder)
    keys = {name: key for name, key in deployment.environment.keys.items() if key.type == kind}
    return Shipment(
        environment=deployment.environment.name,
        feed=deployment.feed.name,
        storage=writer.state_folder,
        config=deployment.transport,
        keys=keys,
        places={name: deployment.problem(("keys", name), "") for name in keys},
        warnings=tuple(problem for problem in deployment.warnings if problem.field.startswith(("transport", "keys"))),
    )


def _require_another_folder(deployment: Deployment, storage: Path) -> None:
    """Raise ConfigError when a copy would be written into the storage folder."""
    path = getattr(deployment.transport, "path", None)
    if path is not None and Path(path).resolve() == storage.resolve():
        message = f"is `{excerpt(path)}`, the folder of the storage itself; name another one for the copy"
        raise ConfigError(str(deployment.problem(("transport", "path"), message)))
