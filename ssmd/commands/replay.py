"""Serve recorded days over a WebSocket as the exchange did, to try a collector or any other client on them.

Usage:
  ssmd replay [--listen <host:port>] [--speed <x>] [--from <time>] [--to <time>] [--feed <feed>]
              [--shard <i/n>] [--cache <folder>] [--cache-size <n>] <path>...
  ssmd replay (-h | --help)

Options:
  --listen <host:port>  Where to serve [default: 127.0.0.1:8765].
  --speed <x>           x times as fast as recorded, such as 10; 0 for as fast as possible [default: 1].
  --from <time>         Only messages received at this time or later, such as 2025-12-22T10:30; UTC.
  --to <time>           Only messages received before this time.
  --feed <feed>         Only this feed, with all its shards.
  --shard <i/n>         Only this shard, such as 2/4.
  --cache <folder>      Keep what was read from a bucket in this folder, for the next time.
  --cache-size <n>      How much the folder may keep, such as 500M or 20G [default: 20G].
  -h --help             Show this.

A path is a file (.jsonl, .jsonl.zst or .jsonl.gz), a day in Parquet (.parquet), a day's folder or the storage folder;
or any of these in a bucket, such as s3://<bucket>/<prefix>, which needs `ssmd[s3]` (docs/bucket.md). The messages of
all paths are merged by time. Each client gets them from the start, and at the end a close frame with code 1000. A
collector records the same data from it, byte for byte, with other times. The sequence numbers stay those of the
connections that were recorded: the messages of several shards are several sequences, so a client that follows them
needs --shard.

The listings that a feed keeps, such as those of kalshi.listing, are left out unless --feed names them.

Clients of the path /trade-api/ws/v2, which is Kalshi's, must sign the handshake: with the key in KALSHI_API_KEY and
KALSHI_API_SECRET or, without these, with a key that is printed at the start. They get the first message after their
first command. Any other path serves an exchange without keys, which sends at once. `ssmd sim --replay` replays with
faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmd.commands.places import places
from ssmd.commands.selecting import selection_of, shard_asked, warn_of_other_forms
from ssmd.commands.serving import number, serve
from ssmd.runtime import logs
from ssmd.sim.replay import Recording


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    selection, shard = selection_of(arguments), shard_asked(arguments)
    with places(arguments["<path>"], arguments, selection.may_hold) as read:
        logs.setup(environ)  # Here: the log has the address of a bucket too, and not the folder that stands for it.
        replay = Recording(tuple(read.paths), arguments["--feed"], selection, shard)
        warn_of_other_forms(replay.files())
        return serve(
            environ,
            arguments["--listen"],
            rate=0.0,
            replay=replay,
            speed=number(arguments, "--speed", 1.0),
        )
