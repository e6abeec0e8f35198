"""An output of a run: a writer, the queue before it, and what opens and closes it when the disk may not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from gevent.event import Event

from ssmd.contracts.writer import Writer
from ssmd.errors import WriteError
from ssmd.runtime.outcomes import error_of, outcome
from ssmd.runtime.queue import BatchQueue
from ssmd.runtime.status import Status
from ssmd.runtime.write_loop import WriteLoop

__all__ = ["Output", "Spawn"]

Spawn = Callable[[str, Callable[[], object]], gevent.Greenlet]
"""Starts a greenlet of the run, given a name for it and its work."""


class Output:
    """What is put into `queue` is written, between open() and finish()."""

    def __init__(self, writer: Writer, queue: BatchQueue, status: Status) -> None:
        self._writer = writer
        self._status = status
        self.queue = queue

    def open(self, ended: Event, seconds: float, prepare: Callable[[Event], None] = lambda ended: None) -> None:
        """Open the writer. Even a dead disk leaves the probes answering, and the run can be stopped.

        `ended`: set when the run ends; then the disk has `seconds` left. `prepare` is called first. Raises OutputError
        and WriteError.
        """
        prepare(ended)
        status, location = self._status, self._writer.location
        status.location, status.write_began = location, time.monotonic()
        opening = gevent.spawn(outcome, self._writer.open)
        gevent.wait([opening, ended], count=1)
        opening.join(timeout=seconds)
        if not opening.dead:
            raise WriteError(f"{location}: the disk did not answer")
        if (error := error_of(opening)) is not None:
            raise error
        status.location, status.write_began = self._writer.location, None

    def write(self) -> None:
        """Write until the queue is closed and empty; the whole life of a greenlet. Raises WriteError."""
        WriteLoop(self.queue, self._writer, self._status).run()

    def finish(self, writing: gevent.Greenlet, spawn: Spawn, deadline: float) -> list[BaseException | None]:
        """Let write() empty the queue, which is closed, then close the writer; return what went wrong.

        `writing`: the greenlet of write(). `deadline`: as time.monotonic().
        """
        writing.join(timeout=max(1.0, deadline - time.monotonic()))
        errors = [error_of(writing)]
        if writing.dead:
            writing = spawn("writer", self._writer.close)
            writing.join(timeout=max(1.0, deadline - time.monotonic()))
            errors.append(error_of(writing))
        if not writing.dead:
            errors.append(WriteError(f"{self._writer.location}: the disk did not take the rest within the drain time"))
        return errors
