"""What `ssmd sim` and `ssmd replay` share: the key for the handshake, and serving until a signal."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from ssmd.commands.listen import parse_listen
from ssmd.contracts.resolver import KeySource
from ssmd.errors import ConfigError, UsageError, printable
from ssmd.exchange.signing import read_private_key
from ssmd.resolver.env import EnvResolver
from ssmd.sim.embedded import throwaway_key
from ssmd.sim.faults import Faults
from ssmd.sim.handshake import PublicKey
from ssmd.sim.replay import Recording
from ssmd.sim.server import Simulator

__all__ = ["number", "serve"]

_log = logging.getLogger("ssmd.sim")

_LOCAL = "ws://127.0.0.1:8765/trade-api/ws/v2"
"""The endpoint in conf/feeds/kalshi-local.yaml."""

_VARIABLES = ("KALSHI_API_KEY", "KALSHI_API_SECRET")


def serve(
    environ: Mapping[str, str],
    listen: str,
    *,
    rate: float,
    speed: float,
    replay: Recording | None,
    seed: int = 1,
    faults: Faults | None = None,
) -> int:
    """Serve on `listen`, the value of --listen, until SIGTERM or Ctrl-C; return the exit code.

    The other arguments are those of sim.server.Simulator.
    """
    host, port = parse_listen(listen)
    with tempfile.TemporaryDirectory(prefix="ssmd-sim-") as scratch:
        credentials, hint = _credentials(environ, Path(scratch))
        simulator = Simulator(
            host, port, credentials=credentials, rate=rate, seed=seed, replay=replay, speed=speed, faults=faults
        )
        if hint:
            print(hint + _how_to_connect(simulator.endpoint), end="", file=sys.stderr, flush=True)
        for each in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(each, simulator.stop)
        _log.info("serving", extra={"endpoint": simulator.endpoint, "rate": rate, "replay": str(replay or "")})
        simulator.serve()
    return 0


def number(arguments: Mapping[str, Any], option: str, default: float) -> float:
    """Return the value of an option, a number of 0 or more; `default` when it is not given. Raises UsageError."""
    text = arguments[option]
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e18:
        raise UsageError(f"{option} is {printable(text)!r}; it must be a number, 0 or more")
    return value


def _credentials(environ: Mapping[str, str], scratch: Path) -> tuple[dict[str, PublicKey], str]:
    """Return the one key that the handshake accepts, by its id, and what to print about it.

    It is the user's key when one is set. Otherwise a key is made for this run, and its private part is written to
    `scratch`.
    """
    if any(environ.get(name) for name in _VARIABLES):
        values = EnvResolver(environ).resolve(KeySource("sim", f"env:{','.join(_VARIABLES)}", _VARIABLES))
        try:
            private = read_private_key(values["KALSHI_API_SECRET"])
        except ConfigError as error:
            raise ConfigError(f"KALSHI_API_SECRET: {error}") from None
        return {values["KALSHI_API_KEY"].strip(): private.public_key()}, ""
    key_id, pem, public = throwaway_key()
    path = scratch / "private-key.pem"
    path.touch(mode=0o600)
    path.write_text(pem)
    return {key_id: public}, (
        "This simulator accepts one key. In the shell of your collector:\n"
        f"  export KALSHI_API_KEY={key_id} KALSHI_API_SECRET={path}\n"
    )


def _how_to_connect(endpoint: str) -> str:
    """Return what to type so that a collector connects to `endpoint`."""
    run = "  bin/ssmd run kalshi-local --config-dir conf\n"
    if endpoint.replace("//localhost:", "//127.0.0.1:") == _LOCAL:
        return run
    return f"Set `endpoint: {endpoint}` in conf/feeds/kalshi-local.yaml, then:\n{run}"
