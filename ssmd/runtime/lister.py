"""The greenlet that asks the exchange which markets there are, and the files of the answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import gevent
from gevent.event import Event

from ssmd.contracts.http import HttpAnswer, HttpClient, HttpRequest
from ssmd.contracts.listing import Listing
from ssmd.contracts.writer import Batch, Note, Writer
from ssmd.errors import ConnectError, SsmdError
from ssmd.runtime.follow_watch import FollowWatch
from ssmd.runtime.outcomes import error_of
from ssmd.runtime.output import Output, Spawn
from ssmd.runtime.queue import BatchQueue
from ssmd.runtime.status import Status
from ssmd.runtime.threads import LARGE_BYTES, off_the_hub
from ssmd.store.ledger import CONNECTED, RESPONSE

__all__ = ["ANSWER_BYTES", "REQUEST_SECONDS", "Lister", "ListingFiles"]

REQUEST_SECONDS = 20.0
"""How long an answer may take, from the connection to its last byte."""

ANSWER_BYTES = 64 << 20
"""The most bytes of an answer. A page of 1,000 markets has 2 MB."""

LONGEST_PAUSE_SECONDS = 1.0
"""The listing is asked at least this often what to do: what it knows changes with every message."""

QUEUE_BYTES = 64 << 20
"""The most bytes of answers that wait for the disk. While there are more, no further request is made."""

Entries = Mapping[str, Mapping[str, object]]
"""The fields of entries of a ledger, by event."""

_log = logging.getLogger("ssmd.lister")


class ListingFiles:
    """Keeps the answers that were used, as lines of a feed of their own.

    `feed`: its name. `writer`: its own, with a Status of its own, which is `status`.
    """

    def __init__(self, feed: str, writer: Writer, status: Status) -> None:
        self._feed = feed
        self._writer = writer
        self.status = status
        self.output = Output(writer, BatchQueue(QUEUE_BYTES), status)

    def note(self, ts_ns: int, entries: Entries) -> None:
        """Add entries to the ledger."""
        notes = [Note(event, ts_ns, 0, fields) for event, fields in entries.items()]
        self.output.queue.put(Batch(self._feed, ts_ns, b"", 0, notes))

    def keep(self, request: HttpRequest, answer: HttpAnswer, ts_ns: int) -> None:
        """Add a line with the body of an answer that has come now. Blocks while too much waits for the disk."""
        etag = answer.headers.get("etag")
        fields = {"url": request.shown_url, "status": answer.status, "etag": etag, "seconds": round(answer.seconds, 6)}
        lines = [(ts_ns, 1)], [answer.body], False
        if len(answer.body) < LARGE_BYTES:
            data = self._writer.encode(*lines)
        else:
            data = off_the_hub(self._writer.encode, *lines)
        self.output.queue.put(Batch(self._feed, ts_ns, data, 1, [Note(RESPONSE, ts_ns, 0, fields)]))


class Lister:
    """Performs the requests of a listing, one after the other, while the connection is open.

    `files`: where the answers that were used are kept; None for nowhere. `watch`: reports how far the listing is. The
    lister logs when it begins to fail, and when it works again.
    """

    def __init__(
        self,
        listing: Listing,
        client: HttpClient,
        files: ListingFiles | None = None,
        watch: FollowWatch | None = None,
    ) -> None:
        self._listing = listing
        self._client = client
        self._files = files
        self._watch = watch
        self._clock: Callable[[], int] = time.time_ns
        self._closing = Event()
        self._failing = False
        self._asking: gevent.Greenlet | None = None
        self._writing: gevent.Greenlet | None = None

    def open(self, ended: Event, seconds: float) -> None:
        """Open the files; see Output.open()."""
        if self._files is not None:
            self._files.output.open(ended, seconds)

    def start(self, spawn: Spawn, clock: Callable[[], int], connected: Event, begin: Entries) -> None:
        """Start the greenlets.

        `clock`: the run's, ns since the epoch. `connected`: set when the connection is open. `begin`: the first entries
        of the files' ledger.
        """
        self._clock = clock
        if self._files is not None:
            self._files.note(clock(), begin)
            self._writing = spawn("writer of listings", self._files.output.write)
        self._asking = spawn("lister", lambda: self._run(connected))

    def wake(self) -> None:
        """Wake the writer, which may have something to do although nothing comes, and report how far the listing is;
        called once a second.
        """
        if self._watch is not None:
            self._watch.tick()
        if self._files is not None:
            self._files.output.queue.wake()

    def _run(self, connected: Event) -> None:
        gevent.wait([connected, self._closing], count=1)
        if self._files is not None and connected.is_set():
            self._files.note(self._clock(), {CONNECTED: {}})
        while not self._closing.is_set():
            turn = self._listing.next(self._clock() // 1_000_000)
            if isinstance(turn, HttpRequest):
                self._perform(turn)
                self._report()
            else:
                self._closing.wait(min(max(turn, 0.0), LONGEST_PAUSE_SECONDS))

    def _perform(self, request: HttpRequest) -> None:
        """Make a request. The listing handles its failure; any other exception ends the run."""
        try:
            answer = self._client.request(request, REQUEST_SECONDS, ANSWER_BYTES)
        except ConnectError as error:
            if not self._closing.is_set():
                self._listing.failed(str(error), self._clock() // 1_000_000)
            return
        now = self._clock()
        if self._listing.answered(answer, now // 1_000_000) and self._files is not None:
            self._files.keep(request, answer, now)

    def _report(self) -> None:
        error = self._listing.state().error
        if error is not None and not self._failing:
            _log.warning("the exchange's markets cannot be listed; ssmd goes on trying", extra={"reason": error})
        elif error is None and self._failing:
            _log.info("the exchange's markets are listed again")
        self._failing = error is not None

    def close(self) -> None:
        """Make no further requests, and end the one that is being made. Idempotent."""
        self._closing.set()
        self._client.close()

    def stop(self, deadline: float, end: Entries) -> None:
        """Wait for the greenlet that makes requests, after close(); then nothing more comes. `end`: the last entries of
        the files' ledger.
        """
        asking, files = self._asking, self._files
        if asking is None:
            return
        if files is not None and self._writing is not None and self._writing.dead:
            files.output.queue.close()  # Nothing makes room any more.
        asking.join(timeout=max(0.0, deadline - time.monotonic()))
        if files is not None:
            files.output.queue.lift()
        asking.kill(timeout=1)
        if files is not None:
            files.note(self._clock(), end)
            files.output.queue.close()

    def finish(self, spawn: Spawn, deadline: float) -> list[BaseException | None]:
        """Let the writer empty its queue and close the files; return what went wrong, bugs in a request included."""
        errors = []
        if self._asking is not None and not isinstance(error := error_of(self._asking), SsmdError):
            errors.append(error)
        if self._files is not None and self._writing is not None:
            errors += self._files.output.finish(self._writing, spawn, deadline)
        return errors
