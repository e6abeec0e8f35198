"""Serve a simulated exchange, or a recording, over a WebSocket, to try a collector or any other client.

Usage:
  ssmd sim [--listen <host:port>] [--rate <messages/s>] [--replay <path>] [--speed <x>] [--seed <n>]
           [--births <n>] [--open-after <s>] [--life <s>] [--faster <n>] [--market-limit <n>]
           [--command-limit <n>] [--request-limit <n>] [--snapshot-seq <how>] [--fault <fault>]...
  ssmd sim --exchange <name> [--listen <host:port>] [--rate <messages/s>] [--seed <n>] [--faster <n>]
           [--fault <fault>]...
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
  --births <n>          List n new markets an hour. They open, close and settle by the clock. Default: none.
  --open-after <s>      A new market opens s seconds after it was listed. Default: 60.
  --life <s>            It is open for s seconds. Default: 900.
  --faster <n>          Let all this pass n times as fast: an hour in a minute with 60. With --exchange: let the
                        time of that exchange pass n times as fast, to try long rules [default: 1].
  --market-limit <n>    Refuse with error 26 what would give a subscription more than n markets. Default: 10000.
  --command-limit <n>   Refuse with error 27 each command beyond n in a second. Default: 10000, as Kalshi.
  --request-limit <n>   Answer requests to the REST interface beyond n in a second with 429. Default: 20, as Kalshi.
  --snapshot-seq <how>  Whether an answer to get_snapshot uses up a number of its sequence. Kalshi has not said.
                        next: it does; current: it repeats the number before it. Default: next.
  --exchange <name>     Serve another exchange than Kalshi, by the rules that it has published: binance, bitstamp,
                        bybit, coinbase, deribit, gateio, htx, htx-books, kraken, kucoin, okx or polymarket.
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
  lose-lifecycle=SHARE  never send this part of the life cycle messages of new markets, such as 0.1
  rest-down[=FROM-UNTIL] answer requests to the REST interface with 503, always or from and until that many
                        seconds after the start, such as 10-40
  rest-slow=S           let every answer of the REST interface take S seconds
  rest-cut=N            end every Nth of its answers in the middle
  rest-html=N           let every Nth of its answers be an HTML page, with status 200
  rest-late=S           leave a new market out of its answers for S seconds; the life cycle message comes at once
  status=CODE           answer the handshake with this HTTP status, such as 401, 403, 429 or 503
  slow-handshake[=S]    answer the handshake after S seconds; without S never

With --exchange there are these faults: close-after, reset-after, truncate-after, silent-after, garbage-after,
status and slow-handshake as above, and:
  freeze-after=N        send no more data, only heartbeats and answers to pings
  gap-after=N[:CHANNEL] lose three messages of every subscription, or of those to one channel
  notice-after=N        announce the end of the connection, then end it; only for exchanges that have such a notice
  refuse=CHANNEL        refuse each subscription to the channel, as if the channel did not exist

The births, the limits, and the faults of a channel, a market or the REST interface are for made-up messages: a
recording has neither channels nor commands.

The markets KXSIM-A to KXSIM-H are always open. With --births there are also those of the series KXSIMBTC, KXSIMETH,
KXSIMHIGHNY and KXSIMWINS-NYM, and there were before the start. The same seed always gives the same ones. The REST
interface lists all of them, on the same port: below /trade-api/v2 it answers GET requests for /markets, /events,
/series and /exchange/status as Kalshi does, also without a signature.

Clients of the simulated Kalshi on its path /trade-api/ws/v2 must sign the handshake: with the key in KALSHI_API_KEY
and KALSHI_API_SECRET or, without these, with a key that is made for this run and printed at the start. Any other
path serves an exchange without keys, which sends at once. So does a recording of another exchange than Kalshi.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssmd.commands.serving import number, serve, serve_exchange
from ssmd.errors import UsageError, visible
from ssmd.runtime import logs
from ssmd.sim.births import BIRTHS, Births
from ssmd.sim.embedded import DEFAULT_RATE
from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.exchanges.rules import Setting
from ssmd.sim.exchanges.server import read_faults
from ssmd.sim.faults import Faults
from ssmd.sim.limits import LIMITS, Limits
from ssmd.sim.replay import Recording


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    if arguments["--exchange"] is not None:
        return _serve_exchange(arguments)
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
        births=Births.parse({name: arguments[f"--{name}"] for name in BIRTHS}),
    )


def _serve_exchange(arguments: Mapping[str, Any]) -> int:
    name = arguments["--exchange"]
    if name not in EXCHANGES:
        raise UsageError(f"--exchange is '{visible(name)}'; there are: {', '.join(EXCHANGES)}")
    faster = number(arguments, "--faster", 1.0)
    if not faster:
        raise UsageError("--faster must be more than 0")
    setting = Setting(number(arguments, "--rate", DEFAULT_RATE), int(number(arguments, "--seed", 1)), faster)
    return serve_exchange(arguments["--listen"], name, setting, read_faults(name, arguments["--fault"]))
