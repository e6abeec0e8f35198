"""The simulator inside the collector's own process, behind an endpoint like `sim://kalshi?rate=200`."""

from __future__ import annotations

import math
import uuid
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ssmd.contracts.service import Service
from ssmd.errors import ConfigError, DataError, UsageError, visible
from ssmd.sim import SIMULATORS
from ssmd.sim.faults import FAULTS, Faults
from ssmd.sim.handshake import PublicKey
from ssmd.sim.limits import LIMITS, Limits, require_made_up
from ssmd.sim.replay import Recording
from ssmd.sim.server import Simulator

__all__ = ["DEFAULT_RATE", "Embedded", "Settings", "embedded", "read_settings", "throwaway_key"]

DEFAULT_RATE = 50.0

_FAULTS = {name.partition("=")[0] for name in FAULTS}
_PARAMETERS = ("rate", "seed", "replay", "speed", *LIMITS, "fault")


class Embedded(NamedTuple):
    """A simulator that listens already, and the keys that it accepts."""

    endpoint: str
    """A real WebSocket URL on the loopback interface."""
    keys: dict[str, str]
    """The `api_key` and `api_secret`, made for this run, that its handshake accepts; it accepts no others."""
    service: Service
    """Clients are answered only while this is being served."""


class Settings(NamedTuple):
    """The settings in the query of an endpoint."""

    rate: float
    seed: int
    speed: float
    replay: Recording | None
    faults: Faults
    limits: Limits


def read_settings(endpoint: str) -> Settings:
    """Return the settings in a `sim://` endpoint. Raises ConfigError for an unknown simulator, parameter or value.

    The query may hold rate, seed, replay (a path), speed, the limits, and faults, each by its own name or as
    `fault=name=value`.
    """
    try:
        parts = urlsplit(endpoint)
        name = parts.netloc
    except ValueError:
        parts, name = urlsplit(""), ""
    if name not in SIMULATORS or parts.path not in ("", "/"):
        known = ", ".join(f"sim://{each}" for each in SIMULATORS)
        raise ConfigError(f"no such simulator: '{visible(endpoint)}'; there are: {known}")

    settings, faults = _parameters(name, parts.query)
    replay = Recording((Path(settings["replay"]),)) if "replay" in settings else None
    try:
        if replay is not None:
            replay.check()
        behaviour = Faults.parse(faults)
        limits = Limits.parse({key: settings.get(key) for key in LIMITS})
        if replay is not None:
            require_made_up(behaviour, limits)
    except (UsageError, DataError) as error:
        # On a command line these are other errors; here the text is part of a feed's metadata.
        raise ConfigError(f"sim://{name}: {error}") from None
    return Settings(
        # A recording of raw frames has no times, so without a rate it is sent flat out.
        rate=_number(name, settings, "rate", DEFAULT_RATE if replay is None else 0.0),
        seed=_seed(name, settings),
        speed=_number(name, settings, "speed", 1.0),
        replay=replay,
        faults=behaviour,
        limits=limits,
    )


def _parameters(name: str, query: str) -> tuple[dict[str, str], list[str]]:
    """Return the settings by name, and the faults as `ssmd sim --fault` takes them. Raises ConfigError."""
    settings: dict[str, str] = {}
    faults: list[str] = []
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "fault":
            faults.append(value)
        elif key in _FAULTS:
            faults.append(f"{key}={value}" if value else key)
        elif key in _PARAMETERS:
            settings[key] = value
        else:
            known = ", ".join([*_PARAMETERS, *FAULTS])
            raise ConfigError(f"sim://{name}: unknown parameter '{visible(key)}'; there are: {known}")
    return settings, faults


def embedded(endpoint: str) -> Embedded:
    """Start the simulator that a `sim://` endpoint names, on a free port of the loopback interface.

    Raises what read_settings() raises, and ListenError when there is no free port.
    """
    settings = read_settings(endpoint)
    key_id, secret, public = throwaway_key()
    simulator = Simulator("127.0.0.1", 0, credentials={key_id: public}, **settings._asdict())
    return Embedded(simulator.endpoint, {"api_key": key_id, "api_secret": secret}, simulator)


def throwaway_key() -> tuple[str, str, PublicKey]:
    """Return a new key like Kalshi's, for one run: its id, the private key as PEM, and the public key."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return str(uuid.uuid4()), pem, private.public_key()


def _number(name: str, settings: dict[str, str], key: str, default: float) -> float:
    text = settings.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ConfigError(f"sim://{name}: {key} must be a number that is not negative, not '{visible(text)}'")
    return value


def _seed(name: str, settings: dict[str, str]) -> int:
    text = settings.get("seed", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ConfigError(f"sim://{name}: seed must be a whole number, not '{visible(text)}'")
    return int(text)
