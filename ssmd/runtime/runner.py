"""The run: a greenlet that reads, a greenlet that writes, and a link that ends the process with either.

    connector --messages--> reader --lines--> queue, bounded in bytes --> writer greenlet --> writer

Where markets are followed, a greenlet performs the requests that list them; if the answers are kept, they go the same
way through a queue and a writer of their own.

Every greenlet is linked to one "ended" event. The first to end, for whatever reason, starts the end of the run. The
main greenlet then drains: it stops the reading, lets the writer empty the queue, closes the writer, and raises what
went wrong. Nothing is tried again: restarting is the orchestrator's work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import gevent
from gevent.event import Event

from ssmd.contracts.service import Service
from ssmd.errors import Disconnected, SsmdError
from ssmd.runtime.channels import NO_LIMITS, ChannelWatch, Limits
from ssmd.runtime.clock import RunClock
from ssmd.runtime.companions import Companions
from ssmd.runtime.journal import Journal
from ssmd.runtime.lister import Lister
from ssmd.runtime.metrics import BUG, Metrics
from ssmd.runtime.open_hours import OpenHours
from ssmd.runtime.outcomes import error_of, gravity, outcome
from ssmd.runtime.output import Output
from ssmd.runtime.queue import QUEUE_BYTES, BatchQueue
from ssmd.runtime.reader import Reader, RunParts
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.ledger import CLOSED, OPENED, STARTED, STOPPED

__all__ = ["DRAIN_SECONDS", "Runner"]

DRAIN_SECONDS = 20.0
"""How long the end may take; below Kubernetes' default grace period of 30 s."""

_log = logging.getLogger("ssmd.runner")


class Runner:
    """Joins the parts of one run; run() does it all, stop() ends it from a signal handler.

    `services` and `companions` run beside the collection. `identity`: the fields of the ledger's `started`. `limits`:
    how long a channel may be silent. `open_hours`: those of the schedule in which the run takes place, if there is one.
    `lister`: performs the requests of the exchange's listing, where markets are followed.
    """

    def __init__(
        self,
        parts: RunParts,
        *,
        status: Status,
        metrics: Metrics,
        reporter: Reporter,
        services: Sequence[Service] = (),
        companions: Companions | None = None,
        identity: Mapping[str, object] = MappingProxyType({}),
        limits: Limits = NO_LIMITS,
        open_hours: OpenHours | None = None,
        lister: Lister | None = None,
        clock: Callable[[], int] = time.time_ns,
        queue_bytes: int = QUEUE_BYTES,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._connector, self._exchange = parts.connector, parts.exchange
        self._status = status
        self._metrics = metrics
        self._reporter = reporter
        self._services = services
        self.companions = companions or Companions([], status)
        self._identity = identity
        self._open_hours = open_hours
        self._journal = Journal(status, metrics, reporter, parts.observers)
        self._clock = RunClock(clock, self._journal.clock_stepped)
        self._drain_seconds = drain_seconds
        self._queue = BatchQueue(queue_bytes, lambda waited: self._journal.waited(waited, self._clock.now()))
        self._output = Output(parts.writer, self._queue, status)
        self.reader = Reader(parts, self._queue, self._journal, self._clock, status, metrics)
        self._lister = lister
        hold, now = parts.connector.expect_silence, self._clock.now
        self._watch = ChannelWatch(self._exchange, status, self._journal, limits, now, hold=hold, wall_clock=clock)
        self._ended = Event()
        self._first: gevent.Greenlet | None = None
        self.stopped_by: str | None = None
        """The reason given to stop(); None while nobody has called it."""

    @property
    def is_closed(self) -> bool:
        """Whether the run has ended because the schedule has closed."""
        return self._open_hours is not None and self.stopped_by == self._open_hours.reason

    def stop(self, reason: str) -> None:
        """Ask the run to end, without error: drain and return from run(). Safe to call at any time."""
        if self.stopped_by is None:
            _log.info("stopping", extra={"reason": reason, "queued": self._queue.messages})
        self.stopped_by = self.stopped_by or reason
        self._ended.set()

    def run(self) -> None:
        """Collect until stop(), or raise the error that ended the run."""
        self._status.queue_messages, self._status.queue_bytes = lambda: self._queue.messages, lambda: self._queue.bytes
        self._status.loss_shown_by, self._status.loss_note = self._exchange.sequence or None, self._exchange.loss_note
        self._status.idle = self._exchange.idle
        self._status.shows_loss = lambda: self._exchange.shows_loss
        self._status.not_decompressed = self._not_decompressed
        self._status.last_read = lambda: self._connector.last_read
        self._status.unchanged = lambda: self._connector.unchanged
        self._status.unanswered = lambda: self._connector.missing
        self._status.unheard, self._status.unconfirmed = self._exchange.unheard, self._exchange.unconfirmed
        self._status.is_expected = self._exchange.expects_text
        services = [self._spawn("service", service.serve) for service in self._services]
        try:
            self._collect(services)
        except SsmdError as error:
            self._metrics.errors.get(error.label, self._metrics.errors[BUG]).inc()
            raise
        finally:
            self.companions.stop()
            for service in self._services:
                service.stop()
            gevent.killall(services, timeout=1)

    def _not_decompressed(self) -> int | None:
        return self._connector.not_decompressed if self._connector.decompress else None

    def _collect(self, services: list[gevent.Greenlet]) -> None:
        self._clock.now()  # The writer opens the file of this day; no message may be of an earlier one.
        self._output.open(self._ended, self._drain_seconds, self.companions.prepare)
        if self._lister is not None:
            self._lister.open(self._ended, self._drain_seconds)
        begin: dict[str, Mapping[str, object]] = {STARTED: self._identity}
        if self._open_hours is not None:
            begin[OPENED] = self._open_hours.opened_fields()
        for event, fields in begin.items():
            self._journal.note(event, self._clock.now(), **fields)
        self.reader.hand_in_notes(self._clock.last_ns)
        writer = self._spawn("writer", self._output.write)
        if self._lister is not None:
            self._lister.start(self._spawn, self._clock.now, self.reader.connected, begin)
        reader = self._spawn("connector", self.reader.run)
        ticker = self._spawn("ticker", self._tick)
        self.companions.start()
        self._ended.wait()
        ticker.kill()
        try:
            self._drain(reader, writer, ticker, services)
        finally:
            self._reporter.finish()

    def _spawn(self, name: str, work: Callable[[], object]) -> gevent.Greenlet:
        """Start a greenlet of the run, linked so that its end is the run's end, whether it fails or returns.

        A text that it returns is a reason to end the run in order.
        """

        def part() -> object:
            ended = outcome(work)
            if self._ended.is_set():
                return ended
            if isinstance(ended, str):
                self.stop(ended)
            elif ended is None:
                return Disconnected(f"the {name} has ended by itself")
            return ended

        greenlet = gevent.spawn(part)
        greenlet.link(self._on_end)
        return greenlet

    def _on_end(self, greenlet: gevent.Greenlet) -> None:
        if self._first is None:
            self._first = greenlet
            self._ended.set()

    def _tick(self) -> None:
        while True:
            gevent.sleep(1)
            unacknowledged = self._exchange.unacknowledged()
            self._status.unacknowledged = len(unacknowledged)
            self._reporter.tick(unacknowledged, self._exchange.unsent())
            self._watch.tick()
            self._status.state_since(time.time_ns())
            self._journal.write_gathered(self._clock.now)
            if self._journal.pending and not self._queue.awaited and self._connector.held_ns is None:
                self.reader.hand_in_notes(self._clock.now())
            self._queue.wake()  # The writer also notices that a sync has failed when nothing arrives.
            if self._lister is not None:
                self._lister.wake()

    def _drain(
        self,
        reader: gevent.Greenlet,
        writer: gevent.Greenlet,
        ticker: gevent.Greenlet,
        services: list[gevent.Greenlet],
    ) -> None:
        """End the run in order: everything that was received is written, if the writer can take it."""
        deadline = time.monotonic() + self._drain_seconds
        errors = [error_of(self._first)] if self._first is not None and self.stopped_by is None else []
        self._status.ending = str(errors[0]) if errors else None
        if self._lister is not None:
            self._lister.close()
        self._stop_reading(reader, writer, ticker, deadline)
        if self._lister is not None:
            self._lister.stop(deadline, self._end())
        errors += self._output.finish(writer, self._spawn, deadline)
        if self._lister is not None:
            errors += self._lister.finish(self._spawn, deadline)
        if self._queue.messages:
            _log.error("messages received but not written", extra={"messages": self._queue.messages})
        # What closing itself has caused, such as the reader's end, is no error; a bug always is.
        errors += [error for error in map(error_of, [reader, *services]) if not isinstance(error, SsmdError)]
        found = [error for error in errors if error is not None]
        if found:
            raise max(found, key=gravity)

    def _end(self) -> Mapping[str, Mapping[str, object]]:
        """Return the last entries of a ledger that has no connection of its own."""
        closed = {CLOSED: self._open_hours.closed_fields()} if self._open_hours is not None and self.is_closed else {}
        reason = self.stopped_by or self._status.ending or "the connection has ended"
        return {**closed, STOPPED: {"reason": reason}}

    def _stop_reading(
        self, reader: gevent.Greenlet, writer: gevent.Greenlet, ticker: gevent.Greenlet, deadline: float
    ) -> None:
        connecting = not self._status.connected
        self._status.connected = False
        self._connector.close()
        if writer.dead:
            self._queue.close()  # Nobody will make room any more for a reader that waits for it.
        if connecting:
            reader.kill(timeout=1)  # Nothing was received yet, so there is nothing to wait for.
        reader.join(timeout=max(0.0, deadline - time.monotonic()))
        self._queue.lift()  # A reader that still waits for room puts what it holds.
        reader.kill(timeout=1)
        if reader.dead:
            if self._open_hours is not None and self.is_closed:
                self._journal.note(CLOSED, self._clock.now(), **self._open_hours.closed_fields())
            # The ticker ends for a channel's time-out alone.
            self._journal.end(self._clock.now(), self.stopped_by, error_of(reader) or error_of(ticker))
            self.reader.hand_in_notes(self._clock.last_ns)
        self._queue.close()
