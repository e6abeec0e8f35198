"""Copy what is recorded to the engine or the bucket that the environment names, and go on as more is recorded.

Usage:
  ssmd ship <environment> --config-dir <path> [--engine <type>] [--shard <i/n>] [--once] [--resume-at <place>]
            [--listen <host:port>]
  ssmd ship <environment> --config-dir <path> [--engine <type>] [--shard <i/n>] --check
  ssmd ship (-h | --help)

Options:
  --config-dir <path>   The metadata tree, with environments/, feeds/ and schemas/. Required.
  --engine <type>       The engine: the `type` of the environment's `transport`, such as `nats`, or `s3` for the bucket
                        of its `storage`. Required where the environment has both.
  --shard <i/n>         Only this shard, such as 2/4, and what shard i of another number of shards has left; with i 1
                        also what shards above n have left. Default: all shards of the feed that the storage has, also
                        those that are begun later.
  --check               Connect to the engine, print what is wrong with its settings, and send nothing.
  --once                Send what is there, and end. A failure of the engine ends it too.
  --resume-at <place>   Go on at this place, <day>/<offset>, and not where the engine's copy ends: lines between the two
                        are not sent. For an engine that has lost its copy, or a day that is gone. The place must be the
                        end of a line, `0` for the beginning of the day; it may not be before the end of the copy.
  --listen <host:port>  Serve /metrics and /health there, for a relay that runs by itself. Default: nothing is served.
  -h --help             Show this.

To a bucket, sealed days go as a whole, and the lines of today in segments, when they are `storage.live_seconds` old.
Objects that are there are never overwritten.

A collector does this by itself, in a process of its own: for a bucket always, for a transport when `transport.relay` is
`companion`, the default. With `external`, run this command beside it, in another container or on another host that has
the same storage folder; it also works when no collector runs. What is on the disk and synced is sent, in order. The
command asks the engine where its copy ends, so it may be killed at any time and run again. Two at once for one feed are
refused.

While the engine fails, it tries again after 1 s, then after longer and longer pauses of up to 60 s. SIGTERM, SIGHUP and
Ctrl-C end it; before that it sends what is there, for 2.5 s at most. Only the keys of the engine's type are used, from
the sources that the environment's `keys` section names. SSMD_LOG_LEVEL is debug, info, warning or error;
SSMD_LOG_FORMAT is text or json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from ssmd.commands.listen import parse_listen
from ssmd.commands.relaying import Relaying
from ssmd.commands.shard import read_shard
from ssmd.commands.shipment import keys_of, keys_of_companion, shipment_of, transport_of
from ssmd.commands.uploading import Uploading
from ssmd.contracts.companion import STATUS_FD
from ssmd.errors import UsageError, visible
from ssmd.runtime import logs
from ssmd.shipping import TRANSPORTS

_PLACE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{1,18})")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    text = arguments["--shard"]
    shard = None if text is None else read_shard(text)
    place = _place(arguments["--resume-at"])
    config_dir = arguments["--config-dir"]
    shipment = shipment_of(Path(config_dir), arguments["<environment>"], arguments["--engine"], with_bucket=True)
    keys = keys_of_companion(shipment, environ) if STATUS_FD in environ else keys_of(shipment, environ)
    work: Relaying | Uploading
    if shipment.engine in TRANSPORTS:
        work = Relaying(shipment, transport_of(shipment, config_dir), keys, shard)
    else:
        work = Uploading(shipment, keys, shard)
    if arguments["--check"]:
        return work.check()
    listen = None if arguments["--listen"] is None else parse_listen(arguments["--listen"])
    return work.ship(place, listen, once=arguments["--once"], environ=environ)


def _place(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    match = _PLACE.fullmatch(text)
    with suppress(ValueError):
        if match is not None:
            return date.fromisoformat(match[1]).isoformat(), int(match[2])
    raise UsageError(
        f"--resume-at is '{visible(text)}'; it must be a day and how many bytes of its lines are before the place, "
        "such as 2026-01-31/0"
    )
