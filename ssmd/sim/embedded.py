"""The simulator inside the collector's own process, behind an endpoint like `sim://kalshi?rate=200`."""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ssmd.contracts.service import Service
from ssmd.errors import ConfigError, DataError, UsageError, visible
from ssmd.sim.births import BIRTHS, Births
from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.exchanges.rules import Setting
from ssmd.sim.exchanges.server import ExchangeServer, faults_of, read_faults
from ssmd.sim.faults import FAULTS, Faults
from ssmd.sim.handshake import PublicKey
from ssmd.sim.limits import LIMITS, Limits, require_made_up
from ssmd.sim.replay import Recording
from ssmd.sim.server import Simulator

__all__ = [
    "DEFAULT_RATE",
    "Embedded",
    "ExchangeSettings",
    "KalshiSettings",
    "embedded",
    "read_settings",
    "throwaway_key",
]

DEFAULT_RATE = 50.0

_LOOPBACK = "127.0.0.1"


class Embedded(NamedTuple):
    """A simulator that listens already, and the keys that it accepts."""

    endpoint: str
    """A real WebSocket URL on the loopback interface."""
    rest_endpoint: str
    """The URL below which its REST interface is; empty when it has none."""
    keys: dict[str, str]
    """The `api_key` and `api_secret`, made for this run, that its handshake accepts, and no others. Empty for an
    exchange whose public data needs no key."""
    service: Service
    """Clients are answered only while this is being served."""


class KalshiSettings(NamedTuple):
    """The settings in the query of an endpoint `sim://kalshi`."""

    rate: float
    seed: int
    speed: float
    replay: Recording | None
    faults: Faults
    limits: Limits
    births: Births

    @property
    def dialect(self) -> str:
        """The dialect that a feed needs for it."""
        return "kalshi"

    @property
    def lists(self) -> bool:
        """Whether its REST interface lists the markets: those of a recording are not known."""
        return self.replay is None

    def start(self) -> Embedded:
        """Start the simulator on a free port. Raises ListenError."""
        key_id, secret, public = throwaway_key()
        simulator = Simulator(_LOOPBACK, 0, credentials={key_id: public}, **self._asdict())
        keys = {"api_key": key_id, "api_secret": secret}
        return Embedded(simulator.endpoint, simulator.rest_endpoint, keys, simulator)


class ExchangeSettings(NamedTuple):
    """The settings in the query of an endpoint for another exchange."""

    name: str
    setting: Setting
    faults: Faults

    @property
    def dialect(self) -> str:
        """The dialect that a feed needs for it."""
        return "generic"

    @property
    def lists(self) -> bool:
        return False

    def start(self) -> Embedded:
        """Start the simulator on a free port. Raises ListenError."""
        simulator = ExchangeServer(self.name, _LOOPBACK, 0, self.setting, self.faults)
        return Embedded(simulator.endpoint, "", {}, simulator)


def embedded(endpoint: str) -> Embedded:
    """Start the simulator that a `sim://` endpoint names, on a free port of the loopback interface.

    Raises what read_settings() raises, and ListenError when there is no free port.
    """
    return read_settings(endpoint).start()


def read_settings(endpoint: str) -> KalshiSettings | ExchangeSettings:
    """Return the settings in a `sim://` endpoint. Raises ConfigError for an unknown simulator, parameter or value.

    The query may hold rate, seed, and faults, each by its own name or as `fault=name=value`; for Kalshi also replay (a
    path), speed, the births and the limits, and for another exchange faster.
    """
    try:
        parts = urlsplit(endpoint)
        name = parts.netloc
    except ValueError:
        parts, name = urlsplit(""), ""
    if name not in ("kalshi", *EXCHANGES) or parts.path not in ("", "/"):
        known = ", ".join(f"sim://{each}" for each in ("kalshi", *EXCHANGES))
        raise ConfigError(f"no such simulator: '{visible(endpoint)}'; there are: {known}")
    try:
        return _of_kalshi(parts.query) if name == "kalshi" else _of_exchange(name, parts.query)
    except (UsageError, DataError, ConfigError) as error:
        # On a command line some of these are other errors; here the text is part of a feed's metadata.
        raise ConfigError(f"sim://{name}: {error}") from None


def _of_kalshi(query: str) -> KalshiSettings:
    settings, faults = _parameters(query, ("rate", "seed", "replay", "speed", *BIRTHS, *LIMITS), FAULTS)
    replay = Recording((Path(settings["replay"]),)) if "replay" in settings else None
    if replay is not None:
        replay.check()
    behaviour = Faults.parse(faults)
    limits = Limits.parse({key: settings.get(key) for key in LIMITS})
    births = Births.parse({key: settings.get(key) for key in BIRTHS})
    if replay is not None:
        require_made_up(behaviour, limits, births)
    return KalshiSettings(
        # A recording of raw frames has no times, so without a rate it is sent flat out.
        rate=_number(settings, "rate", DEFAULT_RATE if replay is None else 0.0),
        seed=_seed(settings),
        speed=_number(settings, "speed", 1.0),
        replay=replay,
        faults=behaviour,
        limits=limits,
        births=births,
    )


def _of_exchange(name: str, query: str) -> ExchangeSettings:
    if EXCHANGES[name].prepares:
        cause = "a client asks it for a token over HTTP before it connects, which needs an address"
        raise ConfigError(f"{cause}; serve it with `ssmd sim --exchange {name}`")
    settings, faults = _parameters(query, ("rate", "seed", "faster"), faults_of(name))
    faster = _number(settings, "faster", 1.0)
    if not faster:
        raise ConfigError("faster must be more than 0")
    setting = Setting(_number(settings, "rate", DEFAULT_RATE), _seed(settings), faster)
    return ExchangeSettings(name, setting, read_faults(name, faults))


def _parameters(query: str, offered: Collection[str], faults: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Return the settings by name, and the faults as `ssmd sim --fault` takes them. Raises ConfigError."""
    settings: dict[str, str] = {}
    given: list[str] = []
    names = {fault.partition("=")[0] for fault in faults}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "fault":
            given.append(value)
        elif key in names:
            given.append(f"{key}={value}" if value else key)
        elif key in offered:
            settings[key] = value
        else:
            known = ", ".join([*offered, "fault", *faults])
            raise ConfigError(f"unknown parameter '{visible(key)}'; there are: {known}")
    return settings, given


def throwaway_key() -> tuple[str, str, PublicKey]:
    """Return a new key like Kalshi's, for one run: its id, the private key as PEM, and the public key."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return str(uuid.uuid4()), pem, private.public_key()


def _number(settings: dict[str, str], key: str, default: float) -> float:
    text = settings.get(key)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ConfigError(f"{key} must be a number that is not negative, not '{visible(text)}'")
    return value


def _seed(settings: dict[str, str]) -> int:
    text = settings.get("seed", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ConfigError(f"seed must be a whole number, not '{visible(text)}'")
    return int(text)
