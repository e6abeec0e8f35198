"""Compares the shape of messages, as they come, with that of the days before."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.exchange import HeadDecoder, MessageReader
from ssmd.contracts.writer import Note, Reads, time_at
from ssmd.errors import printable
from ssmd.observing.before import Before
from ssmd.observing.reported import Reported
from ssmd.runtime.drift import DriftState, FoundDrift
from ssmd.runtime.kept_fresh import KeptFresh
from ssmd.schema.shared import SharedDecoding
from ssmd.shape.drift import NEW_FIELD, NEW_TYPE, RETYPED, Drift, Known
from ssmd.shape.learned import MOST_FIELDS
from ssmd.shape.paths import text_of
from ssmd.shape.skeleton import skeletons
from ssmd.shape.walk import found_in
from ssmd.store.ledger import DRIFT
from ssmd.store.timestamps import day_of_ns, timestamp

__all__ = ["ALL", "LARGEST_BYTES", "LEVELS", "MOST_DRIFTS", "OFF", "PART", "SAMPLE", "ShapeObserver", "Sources"]

OFF, SAMPLE, ALL = LEVELS = ("off", "sample", "all")
"""Values of `drift_check`."""

PART = 0.03
"""With SAMPLE, the part of the time that may be spent here. Up to it every message is looked at."""
_SAVED_SECONDS = 0.2
"""So much time, at most, may be saved up for a burst, as the time in which it is spent."""
LARGEST_BYTES = 256 * 1024
"""A longer message is not looked at: that would take too long. When the day is sealed, it is."""
MOST_DRIFTS = 1000
"""How many drifts of a day are reported."""
_MOST_SKELETONS, _MOST_BYTES = 4096, 2 * 1024 * 1024
"""How many skeletons are remembered, and how long they are together, with their types."""
_LONGEST_TEXT = 200
"""So many characters of a type or a path are kept: an exchange may send names of any length."""
_AGAIN_NS = 60_000_000_000
"""After so long, one message of each skeleton is decoded again."""
_EXCERPT = 200
"""So many characters of a message are logged."""

_log = logging.getLogger("ssmd.drift")


class Sources(NamedTuple):
    """What an observer looks up."""

    reader: MessageReader
    """Finds the types of messages."""
    is_public: Callable[[str], bool]
    """Returns whether everybody may see messages of a type."""
    hidden: Callable[[], Collection[str]]
    """Returns what the log must not show of a message: Exchange.hidden()."""
    heads: HeadDecoder | None
    """How the dialect decodes the heads of messages; None when it does not share that."""
    before: KeptFresh[Before]
    """Reads what the days before have shown."""
    reported: Reported | None
    """Keeps what was reported on this day; None where no folder is kept."""
    decodes_apart: bool = False
    """Whether `heads` are decoded for another observer, so that this one has to decode messages once more."""


class ShapeObserver:
    """Keeps the contract of contracts/observer.py. `state`: is for the probes. `timer`: returns ns.

    Messages with a type and a skeleton that were looked at already are not looked at again for a minute. To find the
    skeletons costs much, so with ALL each message is rather decoded as one of the days before, if possible in place of
    the decoding by the dialect. Then only those that are refused are looked at in any case, and the others as with
    SAMPLE: the decoding does not show whether a text still holds a decimal.
    """

    def __init__(
        self, sources: Sources, state: DriftState, now_ns: int, timer: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._reader, self._is_public, self._hidden, self._heads, self._source, self._reported, self._apart = sources
        self._state = state
        self._timer = timer
        self._before: Before | None = None
        self._known: Known | None = None
        self._shared: SharedDecoding | None = None
        self._seen: set[tuple[str, bytes]] = set()
        self._bytes = 0
        self._forget_ns = 0
        self._all = state.level == ALL
        self._left_ns, self._last_ns = 0.0, 0
        self._notes: list[dict[str, Any]] = []
        self._day = day_of_ns(now_ns)
        self._unkept = False
        state.found = [] if self._reported is None else self._reported.load(self._day)
        self._done = set(map(_key, state.found))

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        known = self._known
        if known is None:
            return
        if self._all:
            self._state.looked_at += len(payloads)
            if self._shared is None:
                self._look(known, reads, payloads)
                return
            if self._apart:
                with contextlib.suppress(ValueError, RecursionError):  # Then all of them are refused.
                    self._shared.decode(payloads)
            if refused := self._shared.refused(payloads):
                self._look(known, reads, payloads, refused)
        self._look_in_time(known, reads, payloads)

    def _look_in_time(self, known: Known, reads: Reads, payloads: list[bytes]) -> None:
        """Look at messages if there is time for it."""
        now_ns = reads[-1][0]
        passed_ns = max(0, now_ns - self._last_ns)  # A clock may be set back.
        self._left_ns = min(self._left_ns + passed_ns * PART, _SAVED_SECONDS * PART * 1e9)
        self._last_ns = now_ns
        is_time = self._left_ns > 0
        if is_time:
            began = self._timer()
            self._look(known, reads, payloads)
            self._left_ns -= self._timer() - began
        if not self._all:
            self._state.looked_at += len(payloads) if is_time else 0
            self._state.passed_over += 0 if is_time else len(payloads)

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        self._compare_with(self._source.ask())
        self._state.days_before = self._known is not None
        if not self._forget_ns - _AGAIN_NS <= now_ns < self._forget_ns:
            self._forget(now_ns)
        if (day := day_of_ns(now_ns)) != self._day:
            self._done = set(map(_key, self._state.found))
            self._day, self._state.found = day, []
        if self._reported is not None:
            if end:
                self._reported.finish()  # What is being written lacks what was found since.
            if self._unkept:
                self._unkept = not self._reported.keep(self._day, self._state.found)
            if end:
                self._reported.finish()
        notes = [Note(DRIFT, now_ns, 0, fields) for fields in self._notes]
        self._notes.clear()
        return notes

    def begin(self, wait_seconds: float) -> None:
        """Wait for what the days before have shown, but not for longer."""
        self._compare_with(self._source.ask(wait_seconds))

    def _compare_with(self, before: Before | None) -> None:
        """Compare messages with this from now on, if it is new and there is something in it."""
        if before is None or before is self._before or not before.known.messages:
            return
        self._before, self._known, self._forget_ns = before, before.known, 0
        if self._all and self._heads is not None and before.accepts is not None:
            self._shared = SharedDecoding(before.accepts, self._heads.type, LARGEST_BYTES)
            if not self._apart:
                self._heads.decode = self._shared.decode

    def _forget(self, now_ns: int) -> None:
        self._seen.clear()
        self._bytes = 0
        self._forget_ns = now_ns + _AGAIN_NS

    def _look(self, known: Known, reads: Reads, payloads: list[bytes], places: Sequence[int] | None = None) -> None:
        """Look at the messages with these indexes; None for all."""
        some = payloads if places is None else [payloads[place] for place in places]
        if max(map(len, some)) > LARGEST_BYTES:
            some = [payload if len(payload) <= LARGEST_BYTES else b"" for payload in some]
        try:
            types = [type for type, _ in self._reader.read(some)]
        except (ValueError, RecursionError):
            types = list(map(self._type, some))
        keys = list(zip(types, skeletons(some), strict=True))
        if self._seen.issuperset(keys):
            return
        for place, key, payload in zip(places or itertools.count(), keys, some, strict=False):
            if key not in self._seen:
                if len(self._seen) >= _MOST_SKELETONS or self._bytes > _MOST_BYTES:
                    self._seen.clear()
                    self._bytes = 0
                self._seen.add(key)
                self._bytes += len(key[0]) + len(key[1])
                for drift in _drifts(known, key[0], payload):
                    self._report(drift, payload, time_at(reads, place))

    def _type(self, payload: bytes) -> str:
        try:
            return self._reader.read([payload])[0][0]
        except (ValueError, RecursionError):
            return ""

    def _report(self, drift: Drift, payload: bytes, received_ns: int) -> None:
        """Report a drift, unless it was reported on this day or the one before: then that day may not be sealed yet."""
        hidden, is_public = self._hidden(), self._is_public(drift.type)
        type, path = (printable(name, _LONGEST_TEXT, hidden) for name in (drift.type, drift.path))
        drift = drift._replace(type=type, path=path)
        key = _key(drift)
        if key in self._done or len(self._state.found) >= MOST_DRIFTS:
            return
        self._done.add(key)
        found = FoundDrift(*drift[:5], timestamp(received_ns))
        self._state.add(found)
        self._unkept = True
        self._notes.append(found._asdict())
        fields = {"received": found.received}
        if is_public:
            fields["first"] = printable(payload, _EXCERPT, hidden)
        _log.warning(f"drift: {drift}", extra={**{name: getattr(found, name) for name in _LOGGED}, **fields})


_LOGGED = ("kind", "type", "path", "was", "now")


def _key(drift: Drift | FoundDrift) -> tuple[str, str, str, str]:
    return drift.kind, drift.type, drift.path, drift.now


def _drifts(known: Known, type: str, payload: bytes) -> list[Drift]:
    """Return what one message shows that the days before did not have."""
    found = found_in(payload, known.maps(type))
    if found is None:
        return []
    if known.is_news(type):
        return [Drift(NEW_TYPE, type, "", "", "", 0)]
    # No shape has more fields, and a hostile message may have so many that it would take seconds.
    kinds = {text_of(path): list(kinds) for path, kinds in itertools.islice(found.items(), MOST_FIELDS)}
    drifts = [Drift(NEW_FIELD, type, path, "", ", ".join(kinds[path]), 0) for path in known.new_fields(type, kinds)]
    for path, here in kinds.items():
        if changed := known.new_kinds(type, path, here):
            drifts.append(Drift(RETYPED, type, path, known.kinds(type, path), ", ".join(changed), 0))
    return drifts
