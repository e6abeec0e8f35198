"""What the commands that talk to an environment's engine share: what is shipped there, and the engine's keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ssmd.errors import ConfigError
from ssmd.metadata.load_in_child import in_child
from ssmd.resolver.lookup import Lookup, gravest
from ssmd.shipping import engine_of
from ssmd.shipping.shipment import Shipment
from ssmd.shipping.transport import EngineTransport

__all__ = ["keys_of", "keys_of_companion", "shipment_of", "transport_of"]

_log = logging.getLogger("ssmd.keys")


def shipment_of(
    config_dir: Path, environment: str, engine: str | None = None, *, with_bucket: bool = False
) -> Shipment:
    """Return what an environment ships to an engine: see load_shipment(), whose errors it raises."""
    return in_child(lambda: _load(config_dir, environment, engine, with_bucket))


def _load(config_dir: Path, environment: str, engine: str | None, with_bucket: bool) -> Shipment:
    # Not at the top: it imports the libraries of a run, which the child takes with it when it ends.
    from ssmd.wiring.shipment import load_shipment

    return load_shipment(config_dir, environment, datetime.now(UTC).date(), engine, with_bucket=with_bucket)


def keys_of(shipment: Shipment, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the engine's keys, from their sources, and log what people should know of them.

    Raises ResolveError.
    """
    result = Lookup(environ).look_up(shipment.keys)
    for warning in result.warnings:
        place = shipment.places[warning.name]
        field = ".".join(filter(None, [place.field, warning.field]))
        _log.warning(str(place._replace(field=field, message=warning.message)))
    if result.missing:
        problems = (shipment.places[name]._replace(message=str(error)) for name, error in result.missing.items())
        raise gravest(result.missing)("\n".join(map(str, problems)))
    return result.values.get(shipment.engine, {})


def transport_of(shipment: Shipment, config_dir: str) -> EngineTransport:
    """Return the transport of an environment, with its engine."""
    engine = engine_of(shipment.engine)
    if engine is None:
        raise ConfigError(f"the transport `{shipment.engine}` hands nothing on")
    return engine(shipment.config, shipment.environment, config_dir)


def keys_of_companion(shipment: Shipment, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the engine's keys, as the collector has handed them on."""
    variables = {field: f"SSMD_KEY_{field.upper()}" for key in shipment.keys.values() for field in key.fields}
    return {field: environ[variable] for field, variable in variables.items() if variable in environ}
