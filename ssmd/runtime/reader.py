"""The greenlet that reads: it stamps, inspects and encodes what arrives, and alone sends what the exchange answers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import gevent
from gevent.event import Event

from ssmd.contracts.connector import Connector
from ssmd.contracts.exchange import Exchange, Inspection
from ssmd.contracts.observer import Observer
from ssmd.contracts.strip import End
from ssmd.contracts.writer import Batch, Reads, Writer
from ssmd.errors import ConfigError, ConnectError, Disconnected, printable
from ssmd.runtime.clock import RunClock
from ssmd.runtime.journal import Journal
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.queue import BatchQueue
from ssmd.runtime.status import Status
from ssmd.runtime.threads import LARGE_BYTES, off_the_hub
from ssmd.store.ledger import CONNECTED, RECONFIGURED
from ssmd.store.timestamps import DAY_NS

__all__ = ["Reader", "RunParts"]

_log = logging.getLogger("ssmd.runner")


class RunParts(NamedTuple):
    """The parts that a run joins."""

    feed: str
    connector: Connector
    exchange: Exchange
    writer: Writer
    observers: Sequence[Observer] = ()
    """Some may come and go during the run."""


class Reader:
    """Reads one connection into the queue; run() is the greenlet's whole life."""

    def __init__(
        self,
        parts: RunParts,
        queue: BatchQueue,
        journal: Journal,
        clock: RunClock,
        status: Status,
        metrics: Metrics,
    ) -> None:
        self._feed, self._connector, self._exchange, self._writer, self._observers = parts
        self._queue = queue
        self._journal = journal
        self._clock = clock
        self._status = status
        self._age = metrics.age
        self._warned_of_age = False
        self._send_failure: Disconnected | None = None
        self._day_ends_ns = sys.maxsize
        self.connected = Event()
        """Set when the connection is open."""

    def run(self) -> None:
        """Connect, then read until the connection ends. Raises ConnectError, Disconnected, ClockError, or the failure
        that the exchange's dialect has found.
        """
        self._connect()
        self._status.connected_ns = self._clock.now()
        self._begin_day(self._clock.last_ns)
        self._status.connected = True
        _log.info("connected", extra={"feed": self._feed})
        if self._exchange.idle:
            _log.info(self._exchange.idle)
        else:
            _log_loss(self._exchange.sequence, self._exchange.loss_note)
        decompress = self._connector.decompress
        self._journal.note(CONNECTED, self._clock.last_ns, **({"decompress": decompress} if decompress else {}))
        self._journal.events(self._exchange.asked(), self._clock.last_ns)
        self.hand_in_notes(self._clock.last_ns)
        self.connected.set()
        self._read()

    def _connect(self) -> None:
        """Connect. When the exchange asks for a pause, the run ends after it: the next start may come at once."""
        try:
            self._connector.connect()
        except ConnectError as error:
            if error.wait_seconds:
                self._status.not_connected = End(self._clock.now(), printable(str(error)))
                _log.warning(
                    "exchange asks for a pause before the next attempt; the run ends after it",
                    extra={"seconds": round(error.wait_seconds), "reason": str(error)},
                )
                gevent.sleep(error.wait_seconds)
            raise

    def reconfigure(self, subscribe: Any, configuration: str) -> None:
        """Take another `subscribe` section, once the connection is open. `configuration`: the new hash for the ledger.

        Raises ConfigError when the dialect cannot, or the run is ending; then nothing has changed.
        """
        self.connected.wait()
        if not self._status.connected:
            raise ConfigError("the run is ending")
        self._exchange.reconfigure(subscribe)
        self._status.refused.clear()  # What was refused is asked for again, unless it is not wanted any more.
        self._status.broken_books &= {state.channel for state in self._exchange.channels()}
        self._status.configuration = configuration
        self._status.reconfigured_ns = self._clock.now()
        self._journal.note(RECONFIGURED, self._clock.last_ns, configuration=configuration)

    def hand_in_notes(self, ts_ns: int) -> None:
        """Put what the journal holds up to this time into the queue; never blocks."""
        self._queue.put(Batch(self._feed, ts_ns, b"", 0, self._journal.take([(ts_ns, 0)])))

    def _read(self) -> None:
        clock = self._clock
        for reads, payloads in self._connector.messages(clock.now):
            if not payloads:
                self._tick(reads[0][0])
            elif reads[0][0] < self._day_ends_ns <= reads[-1][0]:
                # The messages of two days belong to two files.
                old = [read for read in reads if read[0] < self._day_ends_ns]
                count = sum(messages for _, messages in old)
                try:
                    self._handle(old, payloads[:count])
                finally:  # When the run ends with the first, these have been received all the same.
                    self._handle(reads[len(old) :], payloads[count:])
            else:
                self._handle(reads, payloads)
            del payloads  # Not kept while the next message is received: each may have 16 MiB.
            clock.require_near()
        if self._send_failure is not None:
            raise self._send_failure

    def _handle(self, reads: Reads, payloads: list[bytes]) -> None:
        """Inspect and encode messages that were received on one day, and put them into the queue."""
        status, journal = self._status, self._journal
        received_ns = reads[-1][0]
        is_new_day = received_ns >= self._day_ends_ns
        inspection = self._first_of_day(payloads, received_ns) if is_new_day else self._exchange.inspect(payloads)
        if inspection.data:
            status.last_received_ns = received_ns
        else:
            self._connector.no_data()
        if inspection.events or self._connector.events:
            journal.events_of(reads, [*self._connector.events, *inspection.events])
        notes = journal.take(reads) if journal.pending else ()
        size = sum(map(len, payloads))
        status.received_bytes += size
        if size < LARGE_BYTES:
            data = self._writer.encode(reads, payloads, inspection.decoded)
        else:
            self._queue.awaited = True
            data = off_the_hub(self._writer.encode, reads, payloads, inspection.decoded)
        self._queue.put(Batch(self._feed, received_ns, data, len(payloads), notes))
        del data  # See _read().
        for observer in self._observers:
            observer.observe(reads, payloads)
        if journal.pressed:
            journal.waited(0.0, self._clock.now())
        if inspection.exchange_ms is not None:
            self._observe_age(received_ns / 1e9 - inspection.exchange_ms / 1e3)
        if inspection.failure is not None:
            raise inspection.failure
        if inspection.commands:
            self._send(inspection.commands)
        if inspection.due:
            self._tick(received_ns)

    def _observe_age(self, seconds: float) -> None:
        """Record the age of a message; warn once when no message can be so old, or so early."""
        self._age.observe(max(0.0, seconds))
        if abs(seconds) > DAY_NS / 1e9 and not self._warned_of_age:
            self._warned_of_age = True
            remedy = "unless messages are that old, correct `paths.time`, or its `format`, in the feed's dialect"
            extra = {"feed": self._feed, "age_seconds": round(seconds), "remedy": remedy}
            _log.warning("the exchange's time in a message is more than a day away from its receipt", extra=extra)

    def _tick(self, now_ns: int) -> None:
        """Let the dialect act because time has passed."""
        turn = self._turn(now_ns)
        if turn.commands:
            self._send(turn.commands)
        if turn.failure is not None:
            raise turn.failure

    def _turn(self, now_ns: int) -> Inspection:
        turn = self._exchange.tick(now_ns // 1_000_000)
        if turn.events:
            self._journal.events(turn.events, now_ns)
            self.hand_in_notes(now_ns)
        return turn

    def _begin_day(self, now_ns: int) -> None:
        self._day_ends_ns = (now_ns // DAY_NS + 1) * DAY_NS

    def _first_of_day(self, payloads: list[bytes], received_ns: int) -> Inspection:
        """Inspect the first messages of a day's file; before that, end the day before, whose notes belong into its own
        ledger, and let the dialect know that the day has begun.
        """
        self._journal.end_day(self._day_ends_ns - 1)
        if self._journal.pending:
            self.hand_in_notes(self._day_ends_ns - 1)
        self._begin_day(received_ns)
        turn = self._turn(received_ns) if self._exchange.tick_seconds is not None else Inspection(True)
        found = self._exchange.inspect(payloads)
        return found._replace(commands=[*turn.commands, *found.commands], failure=found.failure or turn.failure)

    def _send(self, commands: Sequence[bytes]) -> None:
        """Send, unless that has failed before. A failure ends the run, after what has arrived by then is read."""
        if self._send_failure is not None:
            return
        try:
            self._connector.send(commands)
        except Disconnected as error:
            self._send_failure = error
            self._connector.close()


def _log_loss(sequence: str, note: str) -> None:
    """Log how lost messages will show; `note`: what to log when they do not."""
    if sequence:
        _log.info("lost messages are detected by the numbers of the messages", extra={"sequence": sequence})
    else:
        _log.info(note)
