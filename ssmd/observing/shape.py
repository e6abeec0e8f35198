"""Compares the shape of messages, as they come, with that of the days before."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.writer import Note, Reads, time_at
from ssmd.errors import printable
from ssmd.observing.reported import Reported
from ssmd.runtime.drift import DriftState, FoundDrift
from ssmd.runtime.kept_fresh import KeptFresh
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
    known: KeptFresh[Known]
    """Reads what the days before have shown."""
    reported: Reported | None
    """Keeps what was reported on this day; None where no folder is kept."""


class ShapeObserver:
    """Keeps the contract of contracts/observer.py. `state`: is for the probes. `timer`: returns ns.

    Messages with a type and a skeleton that were looked at already are not looked at again for a minute.
    """

    def __init__(
        self, sources: Sources, state: DriftState, now_ns: int, timer: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._reader, self._is_public, self._hidden, self._source, self._reported = sources
        self._state = state
        self._timer = timer
        self._known: Known | None = None
        self._seen: set[tuple[str, bytes]] = set()
        self._bytes = 0
        self._forget_ns = 0
        self._samples = state.level == SAMPLE
        self._left_ns, self._last_ns = 0.0, 0
        self._notes: list[dict[str, Any]] = []
        self._day = day_of_ns(now_ns)
        self._unkept = False
        state.found = [] if self._reported is None else self._reported.load(self._day)
        self._done = set(map(_key, state.found))

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        if self._known is None:
            return
        if not self._samples:
            self._look(self._known, reads, payloads)
            return
        now_ns = reads[-1][0]
        self._left_ns = min(self._left_ns + (now_ns - self._last_ns) * PART, _SAVED_SECONDS * PART * 1e9)
        self._last_ns = now_ns
        if self._left_ns <= 0:
            self._state.passed_over += len(payloads)
            return
        began = self._timer()
        self._look(self._known, reads, payloads)
        self._left_ns -= self._timer() - began

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        known = self._source.ask()
        if known is not None and known.messages and known is not self._known:
            self._known, self._forget_ns = known, 0
        self._state.days_before = self._known is not None
        if now_ns >= self._forget_ns:
            self._forget(now_ns)
        if (day := day_of_ns(now_ns)) != self._day:
            self._done = set(map(_key, self._state.found))
            self._day, self._state.found = day, []
        if self._unkept and self._reported is not None:
            self._unkept = not self._reported.keep(self._day, self._state.found)
        if end and self._reported is not None:
            self._reported.finish()
        notes = [Note(DRIFT, now_ns, 0, fields) for fields in self._notes]
        self._notes.clear()
        return notes

    def begin(self, wait_seconds: float) -> None:
        """Wait for what the days before have shown, but not for longer."""
        known = self._source.ask(wait_seconds)
        self._known = known if known is not None and known.messages else None

    def _forget(self, now_ns: int) -> None:
        self._seen.clear()
        self._bytes = 0
        self._forget_ns = now_ns + _AGAIN_NS

    def _look(self, known: Known, reads: Reads, payloads: list[bytes]) -> None:
        if max(map(len, payloads)) > LARGEST_BYTES:
            payloads = [payload if len(payload) <= LARGEST_BYTES else b"" for payload in payloads]
        self._state.looked_at += len(payloads)
        try:
            types = [type for type, _ in self._reader.read(payloads)]
        except (ValueError, RecursionError):
            types = list(map(self._type, payloads))
        keys = list(zip(types, skeletons(payloads), strict=True))
        if self._seen.issuperset(keys):
            return
        for place, (key, payload) in enumerate(zip(keys, payloads, strict=True)):
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
