"""What `ssmd sim` and `ssmd replay` share: the key for the handshake, and serving until a signal."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from ssmd.commands.init import example
from ssmd.commands.listen import parse_listen
from ssmd.commands.program import CHECKOUT, program
from ssmd.contracts.resolver import KeySource
from ssmd.errors import ConfigError, UsageError, visible
from ssmd.exchange.kalshi.keys import read_key_id
from ssmd.exchange.kalshi.signing import read_private_key
from ssmd.resolver.env import EnvResolver
from ssmd.resolver.lookup import SECONDS
from ssmd.sim.births import Births
from ssmd.sim.embedded import throwaway_key
from ssmd.sim.exchanges.rules import Setting
from ssmd.sim.exchanges.server import ExchangeServer
from ssmd.sim.faults import Faults
from ssmd.sim.handshake import PublicKey
from ssmd.sim.limits import Limits
from ssmd.sim.listening import Server
from ssmd.sim.replay import Recording
from ssmd.sim.server import Simulator

__all__ = ["how_to_connect", "how_to_describe", "number", "serve", "serve_exchange"]

_log = logging.getLogger("ssmd.sim")

_LOCAL = "ws://127.0.0.1:8765/trade-api/ws/v2"
"""The endpoint in conf/feeds/kalshi-local.yaml."""

_VARIABLES = ("KALSHI_API_KEY", "KALSHI_API_SECRET")

_SCRATCH = "ssmd-sim-"
"""How the name of the temporary folder begins that holds the private key made for one run."""
_KEY_FILE = "private-key.pem"


def serve(
    environ: Mapping[str, str],
    listen: str,
    *,
    rate: float,
    speed: float,
    replay: Recording | None,
    seed: int = 1,
    faults: Faults | None = None,
    limits: Limits | None = None,
    births: Births | None = None,
) -> int:
    """Serve on `listen`, the value of --listen, until SIGTERM or Ctrl-C; return the exit code.

    The other arguments are those of sim.server.Simulator.
    """
    host, port = parse_listen(listen)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as scratch:
        # A key in the environment is accepted for any recording.
        is_kalshi = replay is None or any(environ.get(name) for name in _VARIABLES) or replay.is_of_kalshi()
        credentials, hint = _credentials(environ, Path(scratch)) if is_kalshi else ({}, "")
        simulator = Simulator(
            host,
            port,
            credentials=credentials,
            rate=rate,
            seed=seed,
            replay=replay,
            speed=speed,
            faults=faults,
            limits=limits,
            births=births,
        )
        if not is_kalshi:
            simulator.endpoint = f"ws://{simulator.address}/"  # Any path but Kalshi's, which needs a key.
            hint = _how_to_collect_again(simulator.endpoint)
        elif hint:
            hint += how_to_connect(simulator.endpoint)
        _serve_until_signal(simulator, hint, rate=rate, replay=str(replay or ""))
    return 0


def serve_exchange(listen: str, name: str, setting: Setting, faults: Faults) -> int:
    """Serve the exchange of that name in the same way; return the exit code."""
    host, port = parse_listen(listen)
    server = ExchangeServer(name, host, port, setting, faults)
    _serve_until_signal(server, how_to_describe(name, server), exchange=name, rate=setting.rate, faster=setting.faster)
    return 0


def _serve_until_signal(server: Server, hint: str, **fields: object) -> None:
    """Print the hint, and serve. `fields`: those of the log line that says so."""
    for each in (signal.SIGTERM, signal.SIGINT):  # Before the first line: who has read it may send one.
        gevent.signal_handler(each, server.stop)
    print(hint, end="", file=sys.stderr, flush=True)
    _log.info("serving", extra={"endpoint": server.endpoint, **fields})
    server.serve()


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
        raise UsageError(f"{option} is '{visible(text)}'; it must be a number, 0 or more")
    return value


def _credentials(environ: Mapping[str, str], scratch: Path) -> tuple[dict[str, PublicKey], str]:
    """Return the one key that the handshake accepts, by its id, and what to print about it.

    It is the user's key when one is set. Otherwise, and when that is the key of an earlier simulator, a key is made for
    this run, and its private part is written to `scratch`.
    """
    note = ""
    if _is_of_an_ended_simulator(environ.get("KALSHI_API_SECRET", "")):
        note = f"{' and '.join(_VARIABLES)} are those of an earlier simulator that has ended, so there is a new key.\n"
    elif any(environ.get(name) for name in _VARIABLES):
        resolver = EnvResolver(environ, time.monotonic() + SECONDS)
        values = resolver.resolve(KeySource("sim", f"env:{','.join(_VARIABLES)}", _VARIABLES)).values
        try:
            key_id, private = read_key_id(values["KALSHI_API_KEY"]), read_private_key(values["KALSHI_API_SECRET"])
        except ConfigError as error:
            raise ConfigError(f"{' and '.join(_VARIABLES)}: {error}") from None
        return {key_id: private.public_key()}, ""
    key_id, pem, public = throwaway_key()
    path = scratch / _KEY_FILE
    path.touch(mode=0o600)
    path.write_text(pem)
    return {key_id: public}, (
        f"{note}This simulator accepts one key. In the shell of your collector:\n"
        f"  export KALSHI_API_KEY={key_id} KALSHI_API_SECRET={shlex.quote(str(path))}\n"
    )


def _is_of_an_ended_simulator(secret: str) -> bool:
    """Return whether KALSHI_API_SECRET names a key file that a simulator has made, and has removed at its end."""
    path = Path(secret)
    if path.name != _KEY_FILE or not path.parent.name.startswith(_SCRATCH):
        return False
    return not path.exists()


def how_to_connect(endpoint: str) -> str:
    """Return what to type so that a collector connects to `endpoint`: with the example tree of the checkout, or with
    one that `ssmd init` makes where ssmd is installed.
    """
    tree, lines = _example_tree()
    if endpoint.replace("//localhost:", "//127.0.0.1:") != _LOCAL:
        lines += f"Set `endpoint: {endpoint}` in {tree}/feeds/kalshi-local.yaml, then:\n"
    return f"{lines}  {program()} run kalshi-local --config-dir {shlex.quote(str(tree))}\n"


def _how_to_collect_again(endpoint: str) -> str:
    return (
        "These are not Kalshi's messages, so no key is needed. To collect them, set "
        f"`endpoint: {endpoint}` in the exchange's feed, in a copy of your metadata tree.\n"
    )


def how_to_describe(name: str, server: ExchangeServer) -> str:
    """Return what to do so that a collector connects to the simulated exchange of that name."""
    if not (example() / "feeds" / f"{name}.yaml").is_file():
        place = f"a feed of your own, with `endpoint: {server.endpoint}`"
        return f"To collect from it, describe it in {place}. docs/exchanges.md has it as an example.\n"
    tree, lines = _copy_of_example_tree()
    prepares = server.rules.prepares
    also = f", followed by the query that it has there, and `url: http://{server.address}{prepares}` in `prepare`"
    return (
        "To collect from it, use a copy of the example tree, so that the feed of the real exchange stays as it is.\n"
        f"{lines}Set in {tree}/feeds/{name}.yaml `endpoint: {server.endpoint}`{also if prepares else ''}. Then:\n"
        f"  {program()} run {name} --config-dir {tree}\n"
    )


def _copy_of_example_tree() -> tuple[str, str]:
    """Return the folder of a copy of the example tree, and the line with the command that makes it where there is none
    yet.
    """
    tree, make = "conf-sim", f"{program()} init"
    if CHECKOUT is not None:
        make = f"cp -R {shlex.quote(str(_example_tree()[0]))}"
    return tree, "" if Path(tree, "feeds").is_dir() else f"  {make} {tree}\n"


def _example_tree() -> tuple[Path, str]:
    """Return the folder of the example tree, and the line with the command that writes it where there is none yet."""
    if CHECKOUT is not None:
        return Path("conf") if Path.cwd() == CHECKOUT else CHECKOUT / "conf", ""
    tree = Path("ssmd-example")
    is_there = (tree / "environments" / "kalshi-local.yaml").is_file()
    return tree, "" if is_there else f"  {program()} init {tree}\n"
