"""What `ssmd ship` does with any engine: it stops at signals, and reports to the collector that has started it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, ClassVar, Generic

from ssmd import __version__
from ssmd.contracts.companion import SHIP, STATUS_FD
from ssmd.contracts.shard import Shard
from ssmd.errors import OutputError
from ssmd.runtime.companion_report import StatusLines
from ssmd.shipping.relays import Maker, Relays, T
from ssmd.shipping.shipment import Shipment

__all__ = ["ShippingWork"]
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logging.getLogger("ssmd.ship")


class ShippingWork(ABC, Generic[T]):
    """The work on one environment. A subclass says what is shipped, and how.

    `keys`: the fields of the engine's keys. `shard`: the only one to ship; None for all.
    """

    kind: ClassVar[str] = SHIP
    """The name that it has as a companion."""

    def __init__(self, shipment: Shipment, keys: Mapping[str, str], shard: Shard | None) -> None:
        self.shipment = shipment
        self.keys = keys
        self.shard = shard

    @abstractmethod
    def maker(self, place: tuple[str, int] | None, stopped: threading.Event, *, once: bool) -> Maker[T]:
        """Return what says what is to be shipped, and makes what ships it.

        `place`: the day and the offset where a person wants to go on. Raises UsageError when that is no place.
        """

    def warnings(self, *, alone: bool) -> list[str]:
        """Return what is doubtful in the configuration of the engine and its keys.

        `alone`: not as a companion; a collector logs most of it itself.
        """
        return [str(problem) for problem in self.shipment.warnings] if alone else []

    def reports(self, relays: Relays[T]) -> Mapping[str, Mapping[str, Any]]:
        """Return what is shipped of each shard, by its label."""
        return relays.reports()

    def ship(
        self,
        place: tuple[str, int] | None,
        listen: tuple[str, int] | None,
        *,
        once: bool,
        environ: Mapping[str, str],
    ) -> int:
        """Ship until it is stopped; return the exit code. `listen`: where to serve metrics, if at all."""
        shipment = self.shipment
        if not shipment.storage.is_dir():
            raise OutputError(f"{shipment.storage}: there is no such folder; `ssmd run` makes it, so start that first")
        stopped = threading.Event()
        maker = self.maker(place, stopped, once=once)
        lines = None
        if STATUS_FD in environ:
            with suppress(OSError):
                os.nice(10)  # The collector beside it comes first.
            lines = StatusLines(int(environ[STATUS_FD]))
        relays = Relays(shipment.engine, maker, stopped, once=once, lines=lines)
        relays.wake.on_signals(_SIGNALS)  # Before the first line of the log: who has read it may send one.
        _log.info("starting", extra=self._described())
        for warning in self.warnings(alone=STATUS_FD not in environ):
            _log.warning(warning)
        with self._serving(listen, relays):
            ended = relays.run()
        report = relays.report()
        totals = {"messages": report["messages"], "failures": report["failures"]}
        _log.info("stopped", extra={"reason": relays.reason, "exit_code": 0, **totals})
        if not ended:
            # The engine has not answered. Its library's threads may never end, and there is nothing to save.
            sys.stderr.flush()
            os._exit(0)
        return 0

    @contextmanager
    def _serving(self, listen: tuple[str, int] | None, relays: Relays[T]) -> Iterator[None]:
        """Serve what the relays report, if that is asked for."""
        if listen is None:
            yield
            return
        # Not at the top: a companion reports to its collector, and needs none of it.
        from ssmd.shipping.server import RelayServer

        reports = partial(self.reports, relays)
        with closing(RelayServer(listen, self.shipment.feed, self.kind, relays, reports)) as server:
            _log.info("listening", extra={"address": f"{listen[0]}:{server.port}"})
            yield

    def _described(self) -> dict[str, Any]:
        shipment = self.shipment
        found = {"version": __version__, "environment": shipment.environment, "feed": shipment.feed}
        shard = {} if self.shard is None or self.shard.is_whole else {"shard": str(self.shard)}
        return {**found, **shard, "engine": shipment.engine, "storage": str(shipment.storage)}
