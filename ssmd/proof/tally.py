"""Counts what a day's messages say of themselves: their types, and the sequences of each session. Pure.

Gaps are found by the same code that found them when the messages arrived: the dialect's own inspector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

import msgspec
from msgspec import UNSET

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import COUNTER, Head, Inspector
from ssmd.proof.coverage import OpenTime
from ssmd.proof.gaps import NOT_KNOWN, FoundGap, Gaps, gap_of
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

    __slots__ = ("first", "first_line", "gaps", "last", "messages", "missing")

    def __init__(self, first: int, first_line: int) -> None:
        self.first = self.last = first
        self.first_line = first_line
        """How many lines come before the message with the first number."""
        self.messages = self.gaps = 0
        self.missing: int | None = 0
        """None when one of the gaps does not say it."""

    def add_gap(self, missing: int) -> None:
        """Count a gap. `missing`: NOT_KNOWN when its numbers do not say it."""
        self.gaps += 1
        self.missing = None if missing == NOT_KNOWN or self.missing is None else self.missing + missing


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
        even = session.inspector.sequence == COUNTER and not (gaps or inspection.uneven)
        count = _count_all if even else _count_each
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
                if tally.line <= gap.line < end and gap.sid in firsts and _opens(tally.sequences[gap.sid], gap):
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
                        _record(sid, one, channels.get(sid), tally.inspector)
                        for sid, one in sorted(tally.sequences.items())
                    ],
                )
            )
        return records


def _opens(sequence: _SequenceTally, gap: FoundGap) -> bool:
    """Return whether a gap of the ledger can be the one before a sequence's first number in this file."""
    if gap.missing == NOT_KNOWN:  # Its numbers need not be the message's own.
        return gap.line == sequence.first_line
    return sequence.first == gap.got != gap.expected > 0 and gap.missing == max(0, gap.got - gap.expected)


def _record(sid: int, one: _SequenceTally, channel: object, inspector: Inspector) -> SequenceRecord:
    name = inspector.sequence_name(sid)
    channel = channel if isinstance(channel, str) else None
    return SequenceRecord(sid, channel, one.first, one.last, one.messages, one.gaps, one.missing, name or UNSET)


def _has_channel(entry: Entry) -> bool:
    """Return whether a `subscribed` has its fields: a damaged ledger may still be valid JSON."""
    return type(entry.fields.get("sid")) is int and isinstance(entry.fields.get("channel"), str)


def _count_each(known: dict[int, _SequenceTally], heads: Sequence[Head], before: int) -> None:
    """Count the numbers of some messages, which have `before` lines before them, one by one."""
    for line, head in enumerate(heads, before):
        if (seq := head.seq) is not None:
            if (one := known.get(head.sid)) is None:
                one = known[head.sid] = _SequenceTally(seq, line)
            one.messages += 1
            one.last = seq


def _count_all(known: dict[int, _SequenceTally], heads: Sequence[Head], before: int) -> None:
    """Count the numbers of some messages without a gap: the first and the last of each sid say how many there are."""
    sids = {head.sid for head in heads}
    for sid, (place, seq) in _first_of_each(sids - known.keys(), heads).items():
        known[sid] = _SequenceTally(seq, before + place)
        known[sid].last = seq - 1
    for sid, (_, seq) in _first_of_each(sids, reversed(heads)).items():
        known[sid].messages += seq - known[sid].last
        known[sid].last = seq


def _first_of_each(sids: Set[int], heads: Iterable[Head]) -> dict[int, tuple[int, int]]:
    """Return the place and the number of the first message of each sid that has one; stop when all are found."""
    found: dict[int, tuple[int, int]] = {}
    if sids:
        for place, head in enumerate(heads):
            if head.seq is not None and head.sid in sids and head.sid not in found:
                found[head.sid] = place, head.seq
                if len(found) == len(sids):
                    break
    return found


def _type(payload: bytes) -> str:
    try:
        return _decode_type(payload).type
    except (ValueError, RecursionError):
        return ""
