"""Serve a simulated Kalshi over a WebSocket, or a recording, to try a collector or any other client on.

Usage:
  ssmd sim [--listen <host:port>] [--rate <messages/s>] [--replay <file>] [--speed <x>] [--seed <n>]
           [--fault <fault>]...
  ssmd sim (-h | --help)

Options:
  --listen <host:port>  Where to serve [default: 127.0.0.1:8765].
  --rate <messages/s>   Messages a second for each client, 0 for flat out. Default: 50, or flat out for a
                        recording of raw frames, which has no times.
  --replay <file>       Send the messages of a .jsonl or .jsonl.gz file, raw frames or ssmd's own lines,
                        one a line, and nothing else.
  --speed <x>           Replay ssmd's own lines x times as fast as recorded, 0 for flat out [default: 1].
  --seed <n>            Another seed makes other markets and another course of events [default: 1].
  --fault <fault>       Misbehave, as told below; may be given several times.
  -h --help             Show this.

Faults, N counting the messages sent on a connection:
  close-after=N         send a close frame with code 1001
  reset-after=N         reset the TCP connection
  truncate-after=N      end the stream in the middle of a frame
  freeze-after=N        send no more data, but go on with pings
  silent-after=N        send nothing any more, not even pings
  gap-after=N           leave out some sequence numbers
  error-after=N:CODE    end a subscription with this error code, such as 25
  garbage-after=N       send what is not JSON, not UTF-8, not text
  status=CODE           answer the handshake with this HTTP status, such as 401, 403, 429 or 503
  slow-handshake[=S]    answer the handshake after S seconds; without S never

The path /trade-api/ws/v2 is Kalshi's: the handshake must be signed. With KALSHI_API_KEY and
KALSHI_API_SECRET set, that is the key it accepts; without, it makes a key for this run and prints how to
use it. Any other path is an exchange without keys, which sends at once.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from ssmd import logs
from ssmd.commands.listen import parse_listen
from ssmd.errors import ConfigError, UsageError, printable
from ssmd.exchange.signing import read_private_key
from ssmd.resolver.env import EnvResolver
from ssmd.sim.embedded import DEFAULT_RATE, throwaway_key
from ssmd.sim.faults import Faults
from ssmd.sim.handshake import PublicKey
from ssmd.sim.server import Simulator

_log = logging.getLogger("ssmd.sim")

_VARIABLES = ("KALSHI_API_KEY", "KALSHI_API_SECRET")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    host, port = parse_listen(arguments["--listen"])
    replay = Path(arguments["--replay"]) if arguments["--replay"] else None
    rate = _number(arguments, "--rate", DEFAULT_RATE if replay is None else 0.0)
    with tempfile.TemporaryDirectory(prefix="ssmd-sim-") as scratch:
        credentials, hint = _credentials(environ, Path(scratch))
        simulator = Simulator(
            host,
            port,
            credentials=credentials,
            rate=rate,
            seed=int(_number(arguments, "--seed", 1)),
            replay=replay,
            speed=_number(arguments, "--speed", 1.0),
            faults=Faults.parse(arguments["--fault"]),
        )
        print(hint, end="", file=sys.stderr, flush=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, simulator.stop)
        _log.info("serving", extra={"endpoint": simulator.endpoint, "rate": rate, "replay": str(replay or "")})
        simulator.serve()
    return 0


def _credentials(environ: Mapping[str, str], scratch: Path) -> tuple[dict[str, PublicKey], str]:
    """The one key that the handshake accepts, the user's or one made for this run, and how to use the latter."""
    if any(environ.get(name) for name in _VARIABLES):
        values = EnvResolver(environ).resolve(f"env:{','.join(_VARIABLES)}")
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
        "  bin/ssmd run kalshi-local --config-dir conf\n"
    )


def _number(arguments: Mapping[str, Any], option: str, default: float) -> float:
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
