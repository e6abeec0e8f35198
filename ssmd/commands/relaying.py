"""The work of `ssmd ship` for the engine of a `transport`: relays."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import closing

from ssmd.commands.shipping_work import ShippingWork
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Position, Sink
from ssmd.errors import UsageError
from ssmd.reading.day_source import open_day
from ssmd.shipping.plan import Plan
from ssmd.shipping.relay_maker import RelayMaker
from ssmd.shipping.shards import Shards
from ssmd.shipping.shipment import Shipment
from ssmd.shipping.transport import EngineTransport
from ssmd.store.timestamps import day_of_ns

__all__ = ["Relaying"]


class Relaying(ShippingWork[Shard]):
    """Copies all lines of each shard, one after the other."""

    def __init__(
        self, shipment: Shipment, transport: EngineTransport, keys: Mapping[str, str], shard: Shard | None
    ) -> None:
        super().__init__(shipment, keys, shard)
        self._transport = transport
        self._shards = Shards(shipment.storage, shipment.feed)

    def check(self) -> int:
        """Print what is wrong with the engine's settings; return the exit code."""
        [shard, *_] = [*self._find(), WHOLE] if self.shipment.storage.is_dir() else [self.shard or WHOLE]
        with closing(self._open(shard)) as sink:
            for warning in (*self.warnings(alone=True), *sink.check()):
                print(f"warning: {warning}")
        print(f"ok: {self.shipment.environment} can be shipped to {self.shipment.engine}")
        return 0

    def maker(self, place: tuple[str, int] | None, stopped: threading.Event, *, once: bool) -> RelayMaker:
        shipment = self.shipment
        plan = Plan(shipment.config.start, self._position(place), once, has_bucket=shipment.has_bucket)
        return RelayMaker(shipment, self._shards, self.shard, self._open, plan, stopped)

    def warnings(self, *, alone: bool) -> list[str]:
        warnings = super().warnings(alone=alone)
        start = self.shipment.config.start
        if start[0].isdigit() and start > day_of_ns(time.time_ns()):
            warnings.append(f"transport.start is {start}, and nothing is shipped before that day")
        return warnings

    def _find(self) -> list[Shard]:
        return self._shards.look() if self.shard is None else [self.shard]

    def _open(self, shard: Shard) -> Sink:
        return self._transport.open(self.shipment.feed, shard, self.keys)

    def _position(self, place: tuple[str, int] | None) -> Position | None:
        """Return the position of a place that a person has chosen. Raises UsageError when it is none."""
        if place is None:
            return None
        found = self._find()
        if len(found) != 1:
            shards = ", ".join(map(str, found)) or "no data so far"
            raise UsageError(f"--resume-at is for one shard, and the feed has {shards}; name one with --shard")
        day, offset = place
        folder, stem = self.shipment.storage / day, found[0].stem(self.shipment.feed)
        source = open_day(folder, stem)
        if source is None:
            lines = None if offset else 0
        else:
            with closing(source):
                lines = source.lines_before(offset, (0, 0))
        if lines is None:
            raise UsageError(f"--resume-at is {day}/{offset}, and no line of {folder / stem} ends there")
        return Position(self.shipment.feed, found[0].label, day, offset, lines)
