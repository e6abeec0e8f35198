"""Counts what a day's messages say of themselves: their types, and the sequences of each session. Pure.

Gaps are found by the same code that found them when the messages arrived: the dialect's own inspector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

import msgspec

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import Head, Inspector
from ssmd.proof.coverage import OpenTime
from ssmd.proof.gaps import FoundGap, Gaps, gap_of
from ssmd.store.ledger import CONTINUED, GAP, SUBSCRIBED, Entry
from ssmd.store.manifest import SequenceRecord, SessionRecord
from ssmd.store.packed_entries import Entries
from ssmd.store.sessions import Session
from ssmd.store.timestamps import timestamp

__all__ = ["SessionTally", "Tally"]

_MOST_TYPES = 1000
_OTHERS = "(others)"


class _Typed(msgspec.Struct):
    type: str = ""


_decode_type = msgspec.json.Decoder(_Typed).decode


class _SequenceTally:
    """The counts of the numbered messages of one sid."""

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self.messages = self.gaps = self.missing = 0


class SessionTally:
    """The counts of the lines of one session, or of those before the first session."""

    def __init__(self, line: int, inspector: Inspector) -> None:
        self.line = line
        """How many lines come before its first one."""
        self.inspector = inspector
        self.sequences: dict[int, _SequenceTally] = {}
        """By sid."""
        self.last_ns = 0
        """When its last line was received; 0 when it has none."""


class Tally:
    """Counts the messages of one day. `inspector` makes the inspector of those before the first session."""

    def __init__(self, inspector: Callable[[], Inspector]) -> None:
        self._sessions = [SessionTally(0, inspector())]
        self.types: Counter[str] = Counter()
        self.gaps = Gaps()

    @property
    def numbered(self) -> bool:
        """Whether the dialect of every session has sequence numbers, so that the gaps are all that there were."""
        return all(bool(session.inspector.sequence) for session in self._sessions)

    def last_sessions(self, count: int) -> list[SessionTally]:
        """Return the tallies of the last `count` sessions, in order."""
        return self._sessions[len(self._sessions) - count :]

    def begin_session(self, line: int, inspector: Callable[[], Inspector]) -> None:
        """Begin another session, which has `line` lines before it; `inspector` makes its inspector."""
        self._sessions.append(SessionTally(line, inspector()))

    def take(self, payloads: list[bytes], before: int, last_ns: int) -> bool:
        """Count messages of the current session; return whether all of them are known to be valid JSON.

        `before`: how many lines come before them. `last_ns`: when the last one was received.
        """
        session = self._sessions[-1]
        session.last_ns = last_ns
        inspection = session.inspector.inspect(payloads)
        heads = inspection.heads
        self._count_types(Counter([head.type for head in heads] if heads else map(_type, payloads)))
        gaps = [event for event in inspection.events if isinstance(event, Gap)]
        count = _count_each if gaps or inspection.uneven else _count_all
        count(session.sequences, heads)
        for gap in gaps:
            self._add_gap(session, FoundGap(before + gap.place, gap.sid, gap.expected, gap.got, gap.missing or 0))
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
            firsts = {sid: one.first for sid, one in tally.sequences.items() if session.began.event == CONTINUED}
            gaps = (gap_of(entry) for entry in entries if entry.event == GAP) if firsts else ()
            for gap in gaps:
                is_possible = 0 < gap.expected != gap.got and gap.missing == max(0, gap.got - gap.expected)
                if tally.line <= gap.line < end and firsts.get(gap.sid) == gap.got and is_possible:
                    del firsts[gap.sid]
                    self._add_gap(tally, gap)

    def _add_gap(self, session: SessionTally, gap: FoundGap) -> None:
        self.gaps.add(gap)
        if gap.sid in session.sequences:
            session.sequences[gap.sid].gaps += 1
            session.sequences[gap.sid].missing += gap.missing

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
        records = []
        for (session, tally, end), time in zip(self._spans(sessions, lines), times, strict=True):
            channels = {
                entry.fields.get("sid"): entry.fields.get("channel")
                for entry in subscribed
                if tally.line <= entry.line < max(end, tally.line + 1)
            }
            records.append(
                SessionRecord(
                    began=timestamp(time.begin_ns),
                    ended=timestamp(time.end_ns),
                    cause=session.cause,
                    line=tally.line,
                    lines=end - tally.line,
                    sequences=[
                        SequenceRecord(sid, channels.get(sid), one.first, one.last, one.messages, one.gaps, one.missing)
                        for sid, one in sorted(tally.sequences.items())
                    ],
                )
            )
        return records


def _has_channel(entry: Entry) -> bool:
    """Return whether a `subscribed` has its fields: a damaged ledger may still be valid JSON."""
    return type(entry.fields.get("sid")) is int and isinstance(entry.fields.get("channel"), str)


def _count_each(known: dict[int, _SequenceTally], heads: Sequence[Head]) -> None:
    """Count the numbers of some messages one by one."""
    for head in heads:
        if head.seq is not None:
            one = known.setdefault(head.sid, _SequenceTally(head.seq))
            one.messages += 1
            one.last = head.seq


def _count_all(known: dict[int, _SequenceTally], heads: Sequence[Head]) -> None:
    """Count the numbers of some messages without a gap: the first and the last of each sid say how many there are."""
    sids = {head.sid for head in heads}
    for sid, seq in _first_of_each(sids - known.keys(), heads).items():
        known[sid] = _SequenceTally(seq)
        known[sid].last = seq - 1
    for sid, seq in _first_of_each(sids, reversed(heads)).items():
        known[sid].messages += seq - known[sid].last
        known[sid].last = seq


def _first_of_each(sids: Set[int], heads: Iterable[Head]) -> dict[int, int]:
    """Return the first number of each sid that has one; stop when all are found."""
    found: dict[int, int] = {}
    if sids:
        for head in heads:
            if head.seq is not None and head.sid in sids and head.sid not in found:
                found[head.sid] = head.seq
                if len(found) == len(sids):
                    break
    return found


def _type(payload: bytes) -> str:
    try:
        return _decode_type(payload).type
    except (ValueError, RecursionError):
        return ""
