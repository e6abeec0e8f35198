"""Loads what `ssmd ship` needs of an environment. It imports the libraries of a run, so this is for another process."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

from ssmd.contracts.writer import Writer
from ssmd.errors import ConfigError, UsageError, visible
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.load_in_child import load_in_process
from ssmd.metadata.problem import excerpt, quoted
from ssmd.runtime.status import Status
from ssmd.shipping import engine_of
from ssmd.shipping.shipment import Shipment
from ssmd.wiring import parts
from ssmd.writer import WRITERS

__all__ = ["load_shipment"]


def load_shipment(
    config_dir: Path, environment: str, today: date, engine: str | None, *, with_bucket: bool
) -> Shipment:
    """Return what is to be shipped to an engine; None for the only one that the environment has.

    `with_bucket`: whether the bucket of the storage counts. Raises ConfigError, also for an environment that ships
    nothing, and UsageError for an engine that it does not have, or when it has two.
    """
    deployment = load_in_process(config_dir, environment, today, parts())
    kind = _engine(deployment, engine, with_bucket)
    storage_type = deployment.environment.storage.type
    config, section = (deployment.storage, "storage") if kind == storage_type else (deployment.transport, "transport")
    writer: Writer = WRITERS[storage_type](
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
        config=config,
        keys=keys,
        places={name: deployment.problem(("keys", name), "") for name in keys},
        warnings=tuple(problem for problem in deployment.warnings if problem.field.startswith((section, "keys"))),
        has_bucket=_has_bucket(storage_type),
    )


def _has_bucket(storage_type: str) -> bool:
    return hasattr(WRITERS[storage_type], "credentials")


def _engine(deployment: Deployment, asked: str | None, with_bucket: bool) -> str:
    """Return the engine of an environment that is asked for."""
    environment = deployment.environment
    found = [environment.transport.type] if engine_of(environment.transport.type) is not None else []
    if with_bucket and _has_bucket(environment.storage.type):
        found.append(environment.storage.type)
    if not found:
        message = f"is `{environment.transport.type}`, which hands nothing on; name an engine to ship to"
        raise ConfigError(str(deployment.problem(("transport", "type"), message)))
    ships = f"the environment {environment.name} ships to {quoted(found)}"
    if asked is None and len(found) > 1:
        raise UsageError(f"{ships}; name one of them with --engine")
    if asked not in (None, *found):
        raise UsageError(f"--engine is '{visible(str(asked))}', and {ships}")
    return asked or found[0]


def _require_another_folder(deployment: Deployment, storage: Path) -> None:
    """Raise ConfigError when a copy would be written into the storage folder."""
    path = getattr(deployment.transport, "path", None)
    if path is not None and Path(path).resolve() == storage.resolve():
        message = f"is `{excerpt(path)}`, the folder of the storage itself; name another one for the copy"
        raise ConfigError(str(deployment.problem(("transport", "path"), message)))
