"""The events of a capture, reported in the log, the metrics and the status, and as notes for the ledger."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from ssmd.contracts.events import (
    Acknowledged,
    Asked,
    Event,
    Followed,
    Gap,
    NotAsked,
    Refused,
    Response,
    SnapshotsReceived,
    SnapshotsRequested,
    Unfollowed,
)
from ssmd.contracts.observer import Observer
from ssmd.contracts.writer import Note, Reads, time_at
from ssmd.errors import ConnectError, Disconnected, SsmdError, SubscriptionRefused
from ssmd.runtime.gathering import Gathering
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.asked import ALL, followed_fields
from ssmd.store.ledger import (
    BACKPRESSURE_BEGAN,
    BACKPRESSURE_ENDED,
    CLOCK_STEPPED,
    DISCONNECTED,
    FOLLOWED,
    GAP,
    REFUSED,
    RESPONSE,
    SNAPSHOT_REQUESTED,
    SNAPSHOTS_RECEIVED,
    STOPPED,
    SUBSCRIBED,
    UNFOLLOWED,
    gap_fields,
)

__all__ = ["PRESSURE_NS", "Journal"]

PRESSURE_NS = 1_000_000_000
"""The disk counts as behind until the reader has not had to wait for this long. A full queue makes it wait hundreds of
times a second, which is one event and not hundreds."""

_log = logging.getLogger("ssmd.runner")


class Journal:
    """Its notes go to the writer with the next batch, or alone when no message comes.

    Nothing in it waits, so that several greenlets may call it.
    """

    def __init__(
        self, status: Status, metrics: Metrics, reporter: Reporter, observers: Sequence[Observer] = ()
    ) -> None:
        self._status = status
        self._metrics = metrics
        self._reporter = reporter
        self._observers = observers
        self._observed_ns = 0
        self._gathering = Gathering()
        self.pending: list[Note] = []
        """What take() returns next."""
        self.pressed = False
        """Whether the disk is behind."""
        self._waited = 0.0
        self._waits = 0
        self._last_wait_ns = 0

    def take(self, reads: Reads) -> Sequence[Note]:
        """Return the notes up to the time of the last read, in order of their places among its messages.

        Later ones remain: there may be messages that were received before them and come later.
        """
        first_ns, last_ns = reads[0][0], reads[-1][0]
        notes = [
            note._replace(place=_place_at(reads, note.ts_ns)) if not note.place and note.ts_ns > first_ns else note
            for note in self.pending
            if note.ts_ns <= last_ns
        ]
        self.pending = [note for note in self.pending if note.ts_ns > last_ns]
        return sorted(notes, key=operator.attrgetter("place"))

    def note(self, event: str, ts_ns: int, place: int = 0, /, **fields: object) -> None:
        """Add a note that belongs before the message with the index `place`, of those that are written next."""
        self.pending.append(Note(event, ts_ns, place, fields))

    def clock_stepped(self, ts_ns: int, by_ns: int) -> None:
        """Record that the wall clock has stepped back by `by_ns`; `ts_ns` is the time before that."""
        seconds = round(by_ns / 1e9, 6)
        self._metrics.clock_steps.inc()
        _log.warning("clock stepped back", extra={"seconds": seconds})
        self.note(CLOCK_STEPPED, ts_ns, seconds=seconds)

    def events(self, events: Sequence[Event], ts_ns: int) -> None:
        """Record what no message has brought: what is asked for, and what the dialect reports as time passes."""
        self.events_of([(ts_ns, 0)], events)

    def events_of(self, reads: Reads, events: Sequence[Event]) -> None:
        """Record what was found among the messages of these reads.

        An event without a place belongs to the one before it: a request for the books that a gap has lost.
        """
        place, ts_ns = 0, reads[0][0]
        for event in events:
            place = getattr(event, "place", place)
            ts_ns = time_at(reads, place)
            self._record(event, ts_ns, place)
        self._add(self._gathering.due(ts_ns), place)

    def _record(self, event: Event, ts_ns: int, place: int) -> None:
        """Record one event, with a note that belongs before the message with the index `place`."""
        if isinstance(event, Acknowledged):
            _log_subscribed(event)
            self._status.gap_counts.subscribed(event.sid, event.channel)
            self.note(SUBSCRIBED, ts_ns, place, **_subscribed(event))
        elif isinstance(event, Gap):
            self._status.add_gap(event, ts_ns)
            self._reporter.gap(event)
            if event.books:
                self._status.broken_books.add(event.books)
            fields = gap_fields(event.sid, event.expected, event.got, event.missing, event.name)
            self.note(GAP, ts_ns, place, **fields)
        elif isinstance(event, Asked):
            self._add(self._gathering.add(event, ts_ns), place)
        elif isinstance(event, Followed):
            self.pending += [Note(FOLLOWED, ts_ns, place, fields) for fields in followed_fields(*event)]
        elif isinstance(event, Unfollowed):
            self.note(UNFOLLOWED, ts_ns, place, markets=ALL if event.markets is None else list(event.markets))
        elif isinstance(event, Response):
            self.note(RESPONSE, ts_ns, place, **_without_place(event))
        elif isinstance(event, NotAsked):
            _log.warning("messages come of a channel that was not asked for", extra=event._asdict())
        else:
            self._about_channel(event, ts_ns, place)

    def _about_channel(
        self, event: Refused | SnapshotsRequested | SnapshotsReceived, ts_ns: int, place: int
    ) -> None:
        """Record a refusal, a snapshot request, or that the snapshots have come."""
        fields = _without_place(event)
        if isinstance(event, Refused):
            self._reporter.refused(event)
            if not event.for_now:
                self._status.refused[event.channel] = event.code
            self.note(REFUSED, ts_ns, place, **fields)
        elif isinstance(event, SnapshotsRequested):
            self._reporter.snapshots(event)
            self.note(SNAPSHOT_REQUESTED, ts_ns, place, **{**fields, "markets": list(event.markets)})
        else:
            self._reporter.snapshots_received(event)
            self.note(SNAPSHOTS_RECEIVED, ts_ns, place, **{**fields, "missing": list(event.missing)})

    def _add(self, notes: Iterable[Note], place: int) -> None:
        self.pending += [note._replace(place=place) for note in notes]

    def write_gathered(self, now: Callable[[], int]) -> None:
        """Make notes of what was asked for, when its minute is over, and of what was observed; called once a second.

        `now`: returns the time, ns since the epoch. It is called only where there may be such notes.
        """
        if self._gathering.changes or self._observers:
            self._take_gathered(now(), end=False)

    def end_day(self, ts_ns: int) -> None:
        """Make notes of what was observed on a day, whose last nanosecond is `ts_ns`, before the next day begins."""
        if self._observers and self._observed_ns <= ts_ns:
            self._take_gathered(ts_ns, end=False)

    def _take_gathered(self, ts_ns: int, *, end: bool) -> None:
        self._observed_ns = ts_ns
        self.pending += self._gathering.due(ts_ns, end=end)
        for observer in self._observers:
            self.pending += observer.notes(ts_ns, end=end)

    def waited(self, seconds: float, ts_ns: int) -> None:
        """Record that the reader waited `seconds` for queue space (0: it did not), at time `ts_ns`."""
        if seconds:
            self._metrics.backpressure.inc(seconds)
            if not self.pressed:
                self.pressed = True
                self._waited, self._waits = 0.0, 0
                self.note(BACKPRESSURE_BEGAN, ts_ns - int(seconds * 1e9))
            self._waited += seconds
            self._waits += 1
            self._last_wait_ns = ts_ns
        elif self.pressed and ts_ns - self._last_wait_ns >= PRESSURE_NS:
            self._pressure_ended()

    def end(self, ts_ns: int, stopped_by: str | None, error: BaseException | None) -> None:
        """Record the end of the run: `stopped_by` is the reason of a stop, `error` the one that ended the reader."""
        self._take_gathered(ts_ns, end=True)
        if self.pressed:
            self._pressure_ended()
        if stopped_by is None and isinstance(error, SsmdError) and not isinstance(error, ConnectError):
            code = error.code if isinstance(error, Disconnected | SubscriptionRefused) else None
            self.note(DISCONNECTED, ts_ns, code=code, reason=str(error))
        self.note(STOPPED, ts_ns, reason=stopped_by or self._status.ending or "the connection has ended")

    def _pressure_ended(self) -> None:
        self.pressed = False
        fields = {"seconds": round(self._waited, 6), "waits": self._waits}
        self.note(BACKPRESSURE_ENDED, self._last_wait_ns, **fields)


def _without_place(event: Refused | Response | SnapshotsReceived | SnapshotsRequested) -> dict[str, object]:
    fields: dict[str, object] = event._asdict()
    fields.pop("place", None)
    return fields


def _place_at(reads: Reads, ts_ns: int) -> int:
    """Return how many messages were received before a time."""
    return sum(count for received_ns, count in reads if received_ns < ts_ns)


def _log_subscribed(event: Acknowledged) -> None:
    sid = {} if event.sid is None else {"sid": event.sid}
    # Where markets are followed, there may be thousands of such changes a day.
    level = logging.DEBUG if event.is_change else logging.INFO
    _log.log(level, "subscribed", extra={"channel": event.channel, **sid})
    asked, confirmed = len(set(event.tickers)), event.acknowledged
    if confirmed is not None and confirmed < asked:
        fields = {"channel": event.channel, "sid": event.sid, "tickers": asked, "acknowledged": confirmed}
        _log.warning("not every market is confirmed", extra=fields)


def _subscribed(event: Acknowledged) -> Mapping[str, object]:
    return {
        "channel": event.channel,
        "sid": event.sid,
        "tickers": list(event.tickers),
        "acknowledged": event.acknowledged,
        **({"unconfirmed": list(event.unconfirmed)} if event.unconfirmed else {}),
    }
