"""The check of what is received against a schema. Nothing is dropped because of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ssmd.contracts.writer import Note, Reads, time_at
from ssmd.errors import printable
from ssmd.runtime.schema_counts import SchemaCounts
from ssmd.runtime.threads import LARGE_BYTES
from ssmd.schema.check import JsonChecker, Violation
from ssmd.schema.judge import NOT_EXPLAINED, NOT_JSON
from ssmd.schema.shared import SharedDecoding
from ssmd.store.ledger import VIOLATIONS
from ssmd.store.timestamps import timestamp

__all__ = ["MOST_A_SECOND", "SchemaCheck"]

MOST_A_SECOND = 100
"""How many messages a sample has in a second."""

MOST_GATHERED, MOST_GATHERED_BYTES = 200, 256 * 1024
"""How many messages wait until their patterns are checked, and how long they are together. A check of few costs nearly
as much as one of many."""
_FEW = 64
"""More messages than these in one read are not long together: connectors hand over long ones alone."""

SLOW_SECONDS = 0.25
"""A check that takes so much of the processor's time, at once, is slow: nothing else is done meanwhile. A usual one
takes a millisecond."""
_REST = 30
"""After a slow check nothing is checked for so many times as long as it took."""

_MINUTE_NS = 60 * 1_000_000_000
_LOGGED_OF_A_TYPE = 3
_LOGGED_IN_A_MINUTE = 20
_LONGEST_TYPE, _LONGEST_PATH = 100, 200

_log = logging.getLogger("ssmd.schema")


@dataclass
class _Violations:
    """Those of one type within a minute; the time is that of the first, the path and the reason are those of the first
    whose reason is known."""

    path: str
    reason: str
    first_ns: int
    count: int = 0


@dataclass
class _Gathered:
    """Messages that have been received and wait for their check."""

    payloads: list[bytes] = field(default_factory=list)
    reads: list[tuple[int, int]] = field(default_factory=list)
    """For each read its time, and how many messages it had."""
    size: int = 0
    """In bytes, of reads of few messages."""


class SchemaCheck:
    """Checks every message, or a sample of them, and counts those that are not as the schema says.

    `shared`: what has decoded the messages for the dialect already; None when nothing has. `expects_text`: returns
    whether a message that is not JSON is one that the exchange is known to send. `timer`: returns seconds of the
    processor's time.
    """

    def __init__(
        self,
        checker: JsonChecker,
        counts: SchemaCounts,
        shared: SharedDecoding | None = None,
        expects_text: Callable[[bytes], bool] = lambda payload: False,
        hidden: Callable[[], Collection[str]] = tuple,
        timer: Callable[[], float] = time.thread_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checker = checker
        self._counts = counts
        self._shared = shared
        self._expects_text = expects_text
        self._hidden = hidden
        self._timer, self._clock = timer, clock
        self._rest_until = 0.0
        self._room, self._room_ns = float(MOST_A_SECOND), 0
        self._waiting = _Gathered()
        self._found: dict[tuple[int, str], _Violations] = {}
        self._logged: dict[str, set[str]] = {}
        self._minute, self._logged_in_minute = 0, 0

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        """See Observer. Messages of more than LARGE_BYTES are passed over, because no probe would be answered.

        What the decoding refuses is judged at once. The others wait until there are many, or until notes() is called.
        """
        counts, waiting, received_ns = self._counts, self._waiting, reads[-1][0]
        if counts.is_sample:
            payloads = payloads[: self._take_room(received_ns, len(payloads))]
        if self._rest_until and self._clock() < self._rest_until:
            counts.not_checked += len(payloads)
            self.check_gathered()  # What waits has been counted as checked.
            if self._shared is not None:
                self._shared.forget()
            return
        counts.checked += len(payloads)
        if self._shared is None:
            payloads = self._without_large(payloads)
        else:
            refused = self._shared.refused(payloads)
            if refused:
                self._judge(payloads, refused, received_ns)
                judged = set(refused)
                payloads = [payload for index, payload in enumerate(payloads) if index not in judged]
        if not payloads:
            return
        waiting.payloads += payloads
        waiting.reads.append((received_ns, len(payloads)))
        if len(payloads) < _FEW:
            waiting.size += sum(map(len, payloads))
        if len(waiting.payloads) >= MOST_GATHERED or waiting.size > MOST_GATHERED_BYTES:
            self.check_gathered()

    def check_gathered(self) -> None:
        """Check the messages that wait."""
        found, self._waiting = self._waiting, _Gathered()
        if not found.payloads:
            return
        began = self._timer()
        if self._shared is None:
            violations = self._checker.check(found.payloads)
        else:
            violations = self._checker.judged(found.payloads, self._shared.doubtful(found.payloads))
        for violation in violations:
            self._take(violation, found.payloads, time_at(found.reads, violation.index))
        self._rest_after(self._timer() - began)

    def _rest_after(self, seconds: float) -> None:
        """Check nothing for a while after a slow check: a schema and a message can always be found that make it so."""
        if seconds < SLOW_SECONDS:
            return
        if not self._rest_until:
            _log.warning(
                "checking messages against the schema takes long; for a while after each slow check none is checked",
                extra={"schema": self._counts.schema, "seconds": round(seconds, 3)},
            )
        self._rest_until = self._clock() + seconds * _REST

    def _judge(self, payloads: list[bytes], indexes: Sequence[int], received_ns: int) -> None:
        """Check those messages of a read that may not be valid."""
        fit = [index for index in indexes if len(payloads[index]) <= LARGE_BYTES]
        self._pass_over(len(indexes) - len(fit))
        began = self._timer()
        for violation in self._checker.judged(payloads, fit):
            self._take(violation, payloads, received_ns)
        self._rest_after(self._timer() - began)

    def _without_large(self, payloads: list[bytes]) -> list[bytes]:
        fit = [payload for payload in payloads if len(payload) <= LARGE_BYTES]
        self._pass_over(len(payloads) - len(fit))
        return fit

    def _pass_over(self, count: int) -> None:
        self._counts.checked -= count
        self._counts.not_checked += count

    def _take(self, violation: Violation, payloads: Sequence[bytes], received_ns: int) -> None:
        if violation.reason != NOT_JSON or not self._expects_text(payloads[violation.index]):
            self._record(violation, received_ns)

    def _take_room(self, now_ns: int, count: int) -> int:
        """Return how many of `count` messages the sample still has room for, and take that room."""
        passed = max(0, now_ns - self._room_ns) / 1e9 * MOST_A_SECOND  # A clock may be set back.
        self._room, self._room_ns = min(float(MOST_A_SECOND), self._room + passed), now_ns
        taken = min(count, int(self._room))
        self._room -= taken
        return taken

    def _record(self, violation: Violation, received_ns: int) -> None:
        kind = self._counts.add(self._shown(violation.type, _LONGEST_TYPE))
        path = self._shown(violation.path, _LONGEST_PATH)
        minute = received_ns // _MINUTE_NS
        first = _Violations(path, violation.reason, received_ns)
        found = self._found.setdefault((minute, kind), first)
        found.count += 1
        is_earlier = found.reason == NOT_EXPLAINED or received_ns < found.first_ns
        if is_earlier and violation.reason != NOT_EXPLAINED:
            found.path, found.reason = path, violation.reason
        found.first_ns = min(found.first_ns, received_ns)
        logged = self._logged.setdefault(kind, set())
        if path in logged or len(logged) >= _LOGGED_OF_A_TYPE:
            return
        if minute != self._minute:
            self._minute, self._logged_in_minute = minute, 0
        if self._logged_in_minute < _LOGGED_IN_A_MINUTE:
            self._logged_in_minute += 1
            logged.add(path)
            extra = {"type": kind, "path": path, "reason": violation.reason}
            _log.warning("a message is not as the schema says", extra={"schema": self._counts.schema, **extra})

    def _shown(self, name: str, limit: int) -> str:
        """Return a type or a path without what an exchange has repeated of a key."""
        return printable(name, limit, self._hidden()) if name not in self._counts.violations else name

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        """Return one note for each type and minute that is over; at the end, of the present minute too."""
        self.check_gathered()
        minute = (now_ns + 1) // _MINUTE_NS
        over = [at for at in self._found if end or at[0] != minute]
        return [self._note(at[1], self._found.pop(at), now_ns) for at in over]

    def _note(self, kind: str, found: _Violations, now_ns: int) -> Note:
        fields = {
            "type": kind,
            "count": found.count,
            "path": found.path,
            "reason": found.reason,
            "first": timestamp(found.first_ns),
        }
        return Note(VIOLATIONS, now_ns, 0, fields)
