"""The check of what is received against a schema. Nothing is dropped because of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ssmd.contracts.writer import Note, Reads
from ssmd.errors import printable
from ssmd.runtime.schema_counts import SchemaCounts
from ssmd.runtime.threads import LARGE_BYTES
from ssmd.schema.check import JsonChecker, Violation
from ssmd.schema.judge import NOT_JSON
from ssmd.schema.shared import SharedDecoding
from ssmd.store.ledger import VIOLATIONS
from ssmd.store.timestamps import timestamp

__all__ = ["MOST_A_SECOND", "SchemaCheck"]

MOST_A_SECOND = 100
"""How many messages a sample has in a second."""

_MINUTE_NS = 60 * 1_000_000_000
_LOGGED_OF_A_TYPE = 3
_LOGGED_IN_A_MINUTE = 20
_LONGEST_TYPE = 100

_log = logging.getLogger("ssmd.schema")


@dataclass
class _Violations:
    """Those of one type within a minute; the path, the reason and the time are those of the first."""

    path: str
    reason: str
    first_ns: int
    count: int = 0


class SchemaCheck:
    """Checks every message, or a sample of them, and counts those that are not as the schema says.

    `shared`: what has decoded the messages for the dialect already; None when nothing has. `expects_text`: returns
    whether a message that is not JSON is one that the exchange is known to send.
    """

    def __init__(
        self,
        checker: JsonChecker,
        counts: SchemaCounts,
        shared: SharedDecoding | None = None,
        expects_text: Callable[[bytes], bool] = lambda payload: False,
    ) -> None:
        self._checker = checker
        self._counts = counts
        self._shared = shared
        self._expects_text = expects_text
        self._room, self._room_ns = float(MOST_A_SECOND), 0
        self._gathered: dict[tuple[int, str], _Violations] = {}
        self._logged: dict[str, set[str]] = {}
        self._minute, self._logged_in_minute = 0, 0

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        """See Observer. Messages of more than LARGE_BYTES are passed over, because no probe would be answered."""
        counts = self._counts
        if counts.is_sample:
            payloads = payloads[: self._take_room(reads[-1][0], len(payloads))]
        if self._shared is not None:
            doubtful = self._shared.doubtful(payloads)
            counts.checked += len(payloads)
            if not doubtful:
                return
            large = [index for index in doubtful if len(payloads[index]) > LARGE_BYTES]
            counts.checked -= len(large)
            violations = self._checker.judged(payloads, [index for index in doubtful if index not in large])
        else:
            fit = [payload for payload in payloads if len(payload) <= LARGE_BYTES]
            counts.checked += len(fit)
            large = [0] * (len(payloads) - len(fit))
            violations, payloads = self._checker.check(fit), fit
        counts.not_checked += len(large)
        for violation in violations:
            if violation.reason != NOT_JSON or not self._expects_text(payloads[violation.index]):
                self._record(violation, reads[-1][0])

    def _take_room(self, now_ns: int, count: int) -> int:
        """Return how many of `count` messages the sample still has room for, and take that room."""
        passed = (now_ns - self._room_ns) / 1e9 * MOST_A_SECOND
        self._room, self._room_ns = min(float(MOST_A_SECOND), self._room + passed), now_ns
        taken = min(count, int(self._room))
        self._room -= taken
        return taken

    def _record(self, violation: Violation, received_ns: int) -> None:
        kind = self._counts.add(printable(violation.type, _LONGEST_TYPE))
        minute = received_ns // _MINUTE_NS
        first = _Violations(violation.path, violation.reason, received_ns)
        self._gathered.setdefault((minute, kind), first).count += 1
        logged = self._logged.setdefault(kind, set())
        if violation.path in logged or len(logged) >= _LOGGED_OF_A_TYPE:
            return
        if minute != self._minute:
            self._minute, self._logged_in_minute = minute, 0
        if self._logged_in_minute < _LOGGED_IN_A_MINUTE:
            self._logged_in_minute += 1
            logged.add(violation.path)
            extra = {"type": kind, "path": violation.path, "reason": violation.reason}
            _log.warning("a message is not as the schema says", extra={"schema": self._counts.schema, **extra})

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        """Return one note for each type and minute that is over; at the end, of the present minute too."""
        minute = now_ns // _MINUTE_NS
        over = [at for at in self._gathered if end or at[0] != minute]
        return [self._note(at[1], self._gathered.pop(at), now_ns) for at in over]

    def _note(self, kind: str, found: _Violations, now_ns: int) -> Note:
        fields = {
            "type": kind,
            "count": found.count,
            "path": found.path,
            "reason": found.reason,
            "first": timestamp(found.first_ns),
        }
        return Note(VIOLATIONS, now_ns, 0, fields)
