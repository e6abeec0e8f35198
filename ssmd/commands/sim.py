"""Serve a simulated Kalshi, or a recording, over a WebSocket, to try a collector or any other client.

Usage:
  ssmd sim [--listen <host:port>] [--rate <messages/s>] [--replay <path>] [--speed <x>] [--seed <n>]
           [--market-limit <n>] [--command-limit <n>] [--snapshot-seq <how>] [--fault <fault>]...
  ssmd sim (-h | --help)

Options:
  --listen <host:port>  Where to serve [default: 127.0.0.1:8765].
  --rate <messages/s>   Messages a second for each client, 0 for as fast as possible. Default: 50; 0 for a
                        recording of raw frames, which has no times.
  --replay <path>       Send recorded messages and nothing else, as `ssmd replay` does, from one path. The path
                        may also be a file of raw frames, one a line, that another program has recorded; such
                        a file must not be in a day's folder.
  --speed <x>           Replay ssmd's own lines x times as fast as recorded, 0 for as fast as possible [default: 1].
  --seed <n>            Another seed gives other markets and other events [default: 1].
  --market-limit <n>    Refuse with error 26 what would give a subscription more than n markets. Default: 10000.
  --command-limit <n>   Refuse with error 27 each command beyond n in a second. Default: 10000, as Kalshi.
  --snapshot-seq <how>  Whether an answer to get_snapshot uses up a number of its sequence. Kalshi has not said.
                        next: it does; current: it repeats the number before it. Default: next.
  --fault <fault>       Misbehave in one of the ways below; may be given several times.
  -h --help             Show this.

Faults; N counts the messages sent on a connection:
  close-after=N         send a close frame with code 1001
  reset-after=N         reset the TCP connection
  truncate-after=N      end the stream in the middle of a frame
  freeze-after=N        send no more data, but continue to send pings
  silent-after=N        send nothing more, not even pings
  gap-after=N[:CHANNEL] lose three messages, of every channel or of one, with what they changed in the books
  mute-after=N:CHANNEL  send no more data on one channel; the others go on
  error-after=N:CODE    end a subscription with this error code, such as 25
  garbage-after=N       send messages that are not JSON, not UTF-8, not text
  refuse=CHANNEL:CODE   refuse each command that subscribes to the channel, with this error code
  unknown-market=TICKER send nothing of this market, and leave it out of answers that list markets
  no-snapshot=TICKER    do not answer get_snapshot for this market
  status=CODE           answer the handshake with this HTTP status, such as 401, 403, 429 or 503
  slow-handshake[=S]    answer the handshake after S seconds; without S never

The limits, and the faults of a channel or a market, are for made-up messages: a recording has neither channels
nor commands.

Clients of the path /trade-api/ws/v2, which is Kalshi's, must sign the handshake: with the key in KALSHI_API_KEY
and KALSHI_API_SECRET or, without these, with a key that is made for this run and printed at the start. Any other
path serves an exchange without keys, which sends at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssmd.commands.serving import number, serve
from ssmd.runtime import logs
from ssmd.sim.embedded import DEFAULT_RATE
from ssmd.sim.faults import Faults
from ssmd.sim.limits import LIMITS, Limits
from ssmd.sim.replay import Recording


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    replay = Recording((Path(arguments["--replay"]),)) if arguments["--replay"] else None
    limits = {name: arguments[f"--{name}"] for name in LIMITS}
    return serve(
        environ,
        arguments["--listen"],
        rate=number(arguments, "--rate", DEFAULT_RATE if replay is None else 0.0),
        seed=int(number(arguments, "--seed", 1)),
        replay=replay,
        speed=number(arguments, "--speed", 1.0),
        faults=Faults.parse(arguments["--fault"]),
        limits=Limits.parse(limits),
    )
