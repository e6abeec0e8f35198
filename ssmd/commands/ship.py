"""Copy what is recorded to the engine that the environment's `transport` names, and go on as more is recorded.

Usage:
  ssmd ship <environment> --config-dir <path> [--engine <type>] [--shard <i/n>] [--once] [--resume-at <place>]
  ssmd ship <environment> --config-dir <path> [--engine <type>] [--shard <i/n>] --check
  ssmd ship (-h | --help)

Options:
  --config-dir <path>   The metadata tree, with environments/, feeds/ and schemas/. Required.
  --engine <type>       The engine, such as `nats`. Another one than that of the environment is refused.
  --shard <i/n>         Only this shard, such as 2/4, and what shard i of another number of shards has left; with i 1
                        also what shards above n have left. Default: all shards of the feed that the storage has, also
                        those that are begun later.
  --check               Connect to the engine, print what is wrong with its settings, and send nothing.
  --once                Send what is there, and end. A failure of the engine ends it too.
  --resume-at <place>   Go on at this place, <day>/<offset>, and not where the engine's copy ends: lines between the two
                        are not sent. For an engine that has lost its copy, or a day that is gone. The place must be the
                        end of a line, `0` for the beginning of the day; it may not be before the end of the copy.
  -h --help             Show this.

A collector does this by itself, in a process of its own, when `transport.relay` is `companion`, the default. With
`external`, run this command beside it, in another container or on another host that has the same storage folder; it
also works when no collector runs. What is on the disk and synced is sent, in order. The command asks the engine where
its copy ends, so it may be killed at any time and run again. Two at once for one feed are refused.

While the engine fails, it tries again after 1 s, then after longer and longer pauses of up to 60 s. SIGTERM, SIGHUP and
Ctrl-C end it when what is there is sent, after a second at the latest. Only the keys of the engine's type are used,
from the sources that the environment's `keys` section names. SSMD_LOG_LEVEL is debug, info, warning or error;
SSMD_LOG_FORMAT is text or json.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from typing import Any

from ssmd import __version__
from ssmd.commands.shard import read_shard
from ssmd.commands.shipment import keys_of, shipment_of, transport_of
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Position, Sink
from ssmd.errors import OutputError, UsageError, visible
from ssmd.reading.day_source import open_day
from ssmd.runtime import logs
from ssmd.shipping.plan import Plan
from ssmd.shipping.relay_maker import RelayMaker
from ssmd.shipping.relays import Relays
from ssmd.shipping.reporting import StatusLines
from ssmd.shipping.shards import Shards
from ssmd.shipping.shipment import Shipment
from ssmd.shipping.transport import EngineTransport
from ssmd.store.timestamps import day_of_ns

_log = logging.getLogger("ssmd.ship")

_STATUS_FD = "SSMD_STATUS_FD"
"""Set for a companion, which also gets its keys in variables of its own: see runtime/companions.py."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PLACE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{1,18})")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    text = arguments["--shard"]
    shard = None if text is None else read_shard(text)
    place = _place(arguments["--resume-at"])
    config_dir = arguments["--config-dir"]
    shipment = shipment_of(Path(config_dir), arguments["<environment>"])
    _require_engine(shipment, arguments["--engine"])
    transport = transport_of(shipment, config_dir)
    keys = _keys_of_companion(shipment, environ) if _STATUS_FD in environ else keys_of(shipment, environ)
    work = _Work(shipment, transport, keys, shard)
    if arguments["--check"]:
        return work.check()
    return work.ship(place, once=arguments["--once"], environ=environ)


def _require_engine(shipment: Shipment, engine: str | None) -> None:
    if engine not in (None, shipment.engine):
        raise UsageError(
            f"--engine is '{visible(str(engine))}', and `transport.type` of the environment {shipment.environment} is "
            f"`{shipment.engine}`"
        )


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


def _keys_of_companion(shipment: Shipment, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the engine's keys, as the collector has handed them on."""
    variables = {field: f"SSMD_KEY_{field.upper()}" for key in shipment.keys.values() for field in key.fields}
    return {field: environ[variable] for field, variable in variables.items() if variable in environ}


class _Work:
    """The work on one environment. `shard`: the only one to ship; None for all."""

    def __init__(
        self, shipment: Shipment, transport: EngineTransport, keys: Mapping[str, str], shard: Shard | None
    ) -> None:
        self._shipment = shipment
        self._transport = transport
        self._keys = keys
        self._shard = shard
        self._shards = Shards(shipment.storage, shipment.feed)

    def check(self) -> int:
        """Print what is wrong with the engine's settings; return the exit code."""
        [shard, *_] = [*self._find(), WHOLE] if self._shipment.storage.is_dir() else [self._shard or WHOLE]
        with closing(self._open(shard)) as sink:
            for warning in (*self._warnings(alone=True), *sink.check()):
                print(f"warning: {warning}")
        print(f"ok: {self._shipment.environment} can be shipped to {self._shipment.engine}")
        return 0

    def ship(self, place: tuple[str, int] | None, *, once: bool, environ: Mapping[str, str]) -> int:
        """Ship until it is stopped; return the exit code."""
        self._require_storage()
        plan = Plan(self._shipment.config.start, self._position(place), once)
        lines = None
        if _STATUS_FD in environ:
            with suppress(OSError):
                os.nice(10)  # The collector beside it comes first.
            lines = StatusLines(int(environ[_STATUS_FD]))
        stopped = threading.Event()
        _log.info("starting", extra=self._described())
        for warning in self._warnings(alone=_STATUS_FD not in environ):
            _log.warning(warning)
        maker = RelayMaker(self._shipment, self._shards, self._shard, self._open, plan, stopped)
        relays = Relays(self._shipment.engine, maker, stopped, once=once, lines=lines)
        relays.wake.on_signals(_SIGNALS)
        ended = relays.run()
        report = relays.report()
        totals = {"messages": report["messages"], "failures": report["failures"]}
        _log.info("stopped", extra={"reason": relays.reason, "exit_code": 0, **totals})
        if not ended:
            # The engine has not answered. Its library's threads may never end, and there is nothing to save.
            sys.stderr.flush()
            os._exit(0)
        return 0

    def _warnings(self, *, alone: bool) -> list[str]:
        """Return what is doubtful in the environment's `transport` and keys. A collector logs most of it itself."""
        warnings = [str(problem) for problem in self._shipment.warnings] if alone else []
        start = self._shipment.config.start
        if start[0].isdigit() and start > day_of_ns(time.time_ns()):
            warnings.append(f"transport.start is {start}, and nothing is shipped before that day")
        return warnings

    def _described(self) -> dict[str, Any]:
        shipment = self._shipment
        found = {"version": __version__, "environment": shipment.environment, "feed": shipment.feed}
        shard = {} if self._shard is None or self._shard.is_whole else {"shard": str(self._shard)}
        return {**found, **shard, "engine": shipment.engine, "storage": str(shipment.storage)}

    def _require_storage(self) -> None:
        if not self._shipment.storage.is_dir():
            raise OutputError(
                f"{self._shipment.storage}: there is no such folder; `ssmd run` makes it, so start that first"
            )

    def _find(self) -> list[Shard]:
        return self._shards.look() if self._shard is None else [self._shard]

    def _open(self, shard: Shard) -> Sink:
        return self._transport.open(self._shipment.feed, shard, self._keys)

    def _position(self, place: tuple[str, int] | None) -> Position | None:
        """Return the position of a place that a person has chosen. Raises UsageError when it is none."""
        if place is None:
            return None
        found = self._find()
        if len(found) != 1:
            shards = ", ".join(map(str, found)) or "no data so far"
            raise UsageError(f"--resume-at is for one shard, and the feed has {shards}; name one with --shard")
        day, offset = place
        folder, stem = self._shipment.storage / day, found[0].stem(self._shipment.feed)
        source = open_day(folder, stem)
        if source is None:
            lines = None if offset else 0
        else:
            with closing(source):
                lines = source.lines_before(offset, (0, 0))
        if lines is None:
            raise UsageError(f"--resume-at is {day}/{offset}, and no line of {folder / stem} ends there")
        return Position(self._shipment.feed, found[0].label, day, offset, lines)
