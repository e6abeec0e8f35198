"""Makes the relays of a process: for which shards, and what each is to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Sink
from ssmd.errors import AlreadyCollected, EngineMismatch
from ssmd.exchange.readers import reader_of
from ssmd.reading.follow import Follower
from ssmd.shipping.plan import Plan, RelayState
from ssmd.shipping.relay import Relay
from ssmd.shipping.shards import Shards
from ssmd.shipping.shipment import Shipment
from ssmd.shipping.shipped import LOCK_SECONDS, RelayLock, Shipped
from ssmd.store.inventory import day_folders
from ssmd.store.layout import data_path
from ssmd.store.locks import is_locked

__all__ = ["RelayMaker"]

_NEWEST_DAYS = 2
"""A collector writes one of these: that of today, or around midnight that of yesterday."""


class RelayMaker:
    """`shards`: those of the feed. `shard`: the one to ship, with what shards of another number have left; None for
    all. `open_sink`: connects to the engine for a shard. `plan`: for the shards that are there at the beginning.
    """

    def __init__(
        self,
        shipment: Shipment,
        shards: Shards,
        shard: Shard | None,
        open_sink: Callable[[Shard], Sink],
        plan: Plan,
        stopped: threading.Event,
    ) -> None:
        self._shipment = shipment
        self._shards = shards
        self._shard = shard
        self._open_sink = open_sink
        self._plan = plan
        self._stopped = stopped

    def find(self) -> list[Shard]:
        """Return the shards to ship, as found by now; one with a rest is there to be looked at again and again."""
        return self._shards.look() if self._shard is None else self._shards.look_for(self._shard)

    def is_rest(self, shard: Shard) -> bool:
        """Return whether only the rest of a shard is shipped."""
        return self._shard not in (None, shard)

    @contextmanager
    def relay(self, shard: Shard, first: bool, state: RelayState) -> Iterator[Relay | None]:
        """Hold the lock of a shard, and yield its relay; None when it has nothing to do now. For the relay's thread.

        `first`: the shard was there at the beginning. Raises AlreadyCollected, OutputError, and what a follower raises.
        """
        shipment, is_rest = self._shipment, self.is_rest(shard)
        stem = shard.stem(shipment.feed)
        if is_rest and self._is_collected(stem):
            yield None
            return
        with closing(RelayLock(shipment.storage, stem, shipment.engine)) as lock:
            try:
                is_ours = lock.take(self._stopped, 0 if is_rest else LOCK_SECONDS)
            except AlreadyCollected:
                if not is_rest:
                    raise
                is_ours = False
            follower = Follower(shipment.storage, shipment.feed, shard, reader_of)
            shipped = Shipped(shipment.storage, stem, shipment.engine)
            if is_ours and not (is_rest and self._is_done(follower, shipped)):
                plan = self._plan_for(is_rest, first)
                yield Relay(follower, lambda: self._open_sink(shard), shipped, plan, self._stopped, state)
            else:
                yield None

    def _is_collected(self, stem: str) -> bool:
        """Return whether a collector writes a shard: then its own relay ships it."""
        folders = day_folders(self._shipment.storage)[-_NEWEST_DAYS:]
        return any(is_locked(data_path(folder, stem)) for folder in folders)

    def _plan_for(self, is_rest: bool, first: bool) -> Plan:
        plan = self._plan
        if is_rest:
            return plan._replace(once=True, resume_at=None)
        if first:
            return plan
        # It has begun after this process: none of its lines is left out.
        return plan._replace(start="oldest" if plan.start == "now" else plan.start, resume_at=None)

    def _is_done(self, follower: Follower, shipped: Shipped) -> bool:
        """Return whether all is shipped, as far as is noted beside the data: then the engine need not be asked."""
        start = self._plan.start
        with closing(follower):
            try:
                follower.begin(shipped.position() or shipped.beginning(start), start)
            except EngineMismatch:
                return False  # The relay finds out what is wrong.
            return not follower.lag()[0]
