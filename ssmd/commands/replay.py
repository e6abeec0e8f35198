"""Serve recorded days as the exchange, over a WebSocket, to try a collector or any other client on yesterday.

Usage:
  ssmd replay [--listen <host:port>] [--speed <x>] [--from <time>] [--to <time>] [--feed <feed>] <path>...
  ssmd replay (-h | --help)

Options:
  --listen <host:port>  Where to serve [default: 127.0.0.1:8765].
  --speed <x>           x times as fast as recorded, such as 10; 0 for flat out [default: 1].
  --from <time>         Only what was received at this time or later, such as 2025-12-22T10:30; UTC.
  --to <time>           Only what was received before this time.
  --feed <feed>         Only this feed.
  -h --help             Show this.

A path is a file (.jsonl, .jsonl.zst or .jsonl.gz), a day's folder or the storage folder; all of it is merged by
time. Each client gets it from the start, and at the end a close frame with code 1000. What a collector makes of it
is the same data, byte for byte, with other times.

The path /trade-api/ws/v2 is Kalshi's: the handshake must be signed, with a key that is printed at the start, or with
the one in KALSHI_API_KEY and KALSHI_API_SECRET, and the first message is sent after the client's first command. Any
other path is an exchange without keys, which sends at once. For faults on top, see `ssmd sim --replay`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssmd.commands.selecting import selection_of, tell_twins
from ssmd.commands.serving import number, serve
from ssmd.runtime import logs
from ssmd.sim.replay import Recording


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    replay = Recording(tuple(map(Path, arguments["<path>"])), arguments["--feed"], selection_of(arguments))
    tell_twins(replay.files())
    return serve(
        environ,
        arguments["--listen"],
        rate=0.0,
        replay=replay,
        speed=number(arguments, "--speed", 1.0),
    )
