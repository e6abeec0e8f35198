"""Counts what a day's messages say of themselves: their types, and the sequences of each session. Pure.

Gaps are found by the same code that found them when the messages arrived: the dialect's own inspector.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
from msgspec import UNSET

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import COUNTER, Inspector
from ssmd.proof.coverage import OpenTime
from ssmd.proof.gaps import NOT_KNOWN, FoundGap, Gaps, gap_of
from ssmd.proof.sequences import SequenceTally, SessionTally, count_all, count_each, opens
from ssmd.store.ledger import CONTINUED, GAP, SUBSCRIBED, Entry
from ssmd.store.manifest import SequenceRecord, SessionRecord
from ssmd.store.packed_entries import Entries
from ssmd.store.sessions import Session
from ssmd.store.timestamps import timestamp

__all__ = ["Tally"]

_MOST_TYPES = 1000
_OTHERS = "(others)"
_line = operator.attrgetter("line")


class _Typed(msgspec.Struct):
    type: str = ""


_decode_type = msgspec.json.Decoder(_Typed).decode


class Tally:
    """Counts the messages of one day. `inspector` makes the inspector of those before the first session.

    `most_sequences`: how many sequences of a session are counted by themselves, those with gaps first; None for all.
    """

    def __init__(self, inspector: Callable[[], Inspector], most_sequences: int | None = None) -> None:
        self._most_sequences = most_sequences
        self._sessions: list[SessionTally] = []
        self._show_loss: set[Callable[[], Inspector]] = set()
        """What makes the inspectors that have shown that lost messages show in the messages of the day."""
        self._hide_loss: set[Callable[[], Inspector]] = set()
        """What makes those that have not, in one session at least."""
        self._add_session(0, inspector)
        self._is_continued = False
        self.types: Counter[str] = Counter()
        self.newest: Sequence[str] = ()
        """The types of the messages that were taken last."""
        self.gaps = Gaps()

    @property
    def numbered(self) -> bool:
        """Whether lost messages show in every session, so that the gaps are all that there were.

        Sessions with the same inspector are judged together: one that ended before the first number, as after the
        confirmations alone, does not make a day unknown whose other sessions have numbers.
        """
        return self._hide_loss <= self._show_loss

    @property
    def inspector(self) -> Inspector:
        """The one of the current session."""
        return self._inspector

    def last_sessions(self, count: int) -> list[SessionTally]:
        """Return the tallies of the last `count` sessions, in order."""
        return self._sessions[len(self._sessions) - count :]

    def begin_session(self, line: int, inspector: Callable[[], Inspector], *, continued: bool = False) -> None:
        """Begin another session, which has `line` lines before it; `inspector` makes its inspector.

        `continued`: it was open over midnight, so add_midnight_gaps() will need all of its sequences.
        """
        if not self._is_continued:
            self._sessions[-1].end()
        self._is_continued = continued
        self._add_session(line, inspector)

    def _add_session(self, line: int, inspector: Callable[[], Inspector]) -> None:
        self._new_inspector, self._inspector = inspector, inspector()
        self._sessions.append(SessionTally(line, self._inspector, self._most_sequences))
        if not self._inspector.sequence:
            self._hide_loss.add(inspector)

    def take(self, payloads: list[bytes], before: int, last_ns: int) -> bool:
        """Count messages of the current session; return whether all of them are known to be valid JSON.

        `before`: how many lines come before them. `last_ns`: when the last one was received.
        """
        session, inspector = self._sessions[-1], self._inspector
        session.last_ns = last_ns
        inspection = inspector.inspect(payloads)
        (self._show_loss if inspector.shows_loss else self._hide_loss).add(self._new_inspector)
        heads = inspection.heads
        self.newest = [head.type for head in heads] if heads else list(map(_type, payloads))
        self._count_types(Counter(self.newest))
        gaps = [event for event in inspection.events if isinstance(event, Gap)]
        even = inspector.sequence == COUNTER and not (gaps or inspection.uneven)
        count = count_all if even else count_each
        count(session.sequences, heads, before)
        for gap in gaps:
            missing = NOT_KNOWN if gap.missing is None else gap.missing
            self._add_gap(session, FoundGap(before + gap.place, gap.sid, gap.expected, gap.got, missing))
        return inspection.decoded

    def _count_types(self, found: Counter[str]) -> None:
        """Add the counts of types. `found` is in the order of arrival, so that blocks of any size give the same."""
        if len(self.types) + len(found) <= _MOST_TYPES:
            self.types.update(found)
            return
        for name, count in found.items():
            self.types[name if name in self.types or len(self.types) < _MOST_TYPES else _OTHERS] += count

    def add_midnight_gaps(self, sessions: Sequence[Session], entries: Entries, lines: int) -> None:
        """Count the gaps before the first number of a sid in each session that was open over midnight.

        Only the ledger has them, because the number before is in another file. `lines`: how many the file has.
        """
        for session, tally, end in self._spans(sessions, lines):
            firsts = {*tally.sequences} if session.began.event == CONTINUED else set()
            gaps = (gap_of(entry) for entry in entries if entry.event == GAP) if firsts else ()
            for gap in gaps:
                if tally.line <= gap.line < end and gap.sid in firsts and opens(tally.sequences[gap.sid], gap):
                    firsts.remove(gap.sid)
                    self._add_gap(tally, gap)

    def _add_gap(self, session: SessionTally, gap: FoundGap) -> None:
        self.gaps.add(gap)
        if gap.sid in session.sequences:
            session.sequences[gap.sid].add_gap(gap.missing)

    def _spans(self, sessions: Sequence[Session], lines: int) -> Iterator[tuple[Session, SessionTally, int]]:
        """Yield each session with its tally, and how many lines come before its end."""
        tallies = self.last_sessions(len(sessions))
        ends = [*[tally.line for tally in tallies[1:]], lines][: len(tallies)]
        return zip(sessions, tallies, ends, strict=True)

    def records(
        self, sessions: Sequence[Session], times: Sequence[OpenTime], entries: Iterable[Entry], lines: int
    ) -> list[SessionRecord]:
        """Return the records of the sessions for the manifest. `lines`: how many the file has."""
        subscribed = [entry for entry in entries if entry.event == SUBSCRIBED and _has_channel(entry)]
        subscribed.sort(key=_line)  # In a damaged ledger they may be in another order.
        records = []
        for (session, tally, end), time in zip(self._spans(sessions, lines), times, strict=True):
            tally.end()
            first, after = (bisect_left(subscribed, at, key=_line) for at in (tally.line, max(end, tally.line + 1)))
            channels = {entry.fields.get("sid"): entry.fields.get("channel") for entry in subscribed[first:after]}
            records.append(
                SessionRecord(
                    began=timestamp(time.begin_ns),
                    ended=timestamp(time.end_ns),
                    cause=session.cause,
                    line=tally.line,
                    lines=end - tally.line,
                    sequences=[_record(sid, one, channels.get(sid)) for sid, one in tally.sequences.items()],
                    other_sequences=tally.others,
                )
            )
        return records


def _record(sid: int, one: SequenceTally, channel: object) -> SequenceRecord:
    channel = channel if isinstance(channel, str) else None
    return SequenceRecord(sid, channel, one.first, one.last, one.messages, one.gaps, one.missing, one.name or UNSET)


def _has_channel(entry: Entry) -> bool:
    """Return whether a `subscribed` has its fields: a damaged ledger may still be valid JSON."""
    return type(entry.fields.get("sid")) is int and isinstance(entry.fields.get("channel"), str)


def _type(payload: bytes) -> str:
    try:
        return _decode_type(payload).type
    except (ValueError, RecursionError):
        return ""
