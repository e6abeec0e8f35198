"""What a day's messages say of themselves, counted: types, and the sequences of each session.

Gaps are found by the code that found them when they came: the dialect's own inspector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from collections.abc import Sequence as Items

import msgspec

from ssmd.contracts.exchange import Gap, Head, Inspector
from ssmd.proof.coverage import Listened
from ssmd.proof.gaps import FoundGap, Gaps, gap_of
from ssmd.store.entries import Entries
from ssmd.store.ledger import CONTINUED, GAP, SUBSCRIBED, Entry
from ssmd.store.manifest import Sequence, SessionRecord
from ssmd.store.sessions import Session
from ssmd.store.timestamps import timestamp

__all__ = ["Part", "Tally"]

_MOST_TYPES = 1000
_OTHERS = "(others)"


class _Typed(msgspec.Struct):
    type: str = ""


_decode_type = msgspec.json.Decoder(_Typed).decode


class _Numbered:
    """The numbered messages of one sid."""

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self.messages = self.gaps = self.missing = 0


class Part:
    """The lines of one session, or those before the first one."""

    def __init__(self, line: int, inspector: Inspector) -> None:
        self.line = line
        self.inspector = inspector
        self.numbered: dict[int, _Numbered] = {}
        self.last_ns = 0
        """When its last line was received; 0 when it has none."""


class Tally:
    """Counts the messages of one day. `inspector` makes what inspects those before the first session."""

    def __init__(self, inspector: Callable[[], Inspector]) -> None:
        self.parts = [Part(0, inspector())]
        self.types: Counter[str] = Counter()
        self.gaps = Gaps()

    def begin_session(self, line: int, inspector: Callable[[], Inspector]) -> None:
        """The next messages are of another connection, which `inspector` inspects; `line` lines stand before them."""
        self.parts.append(Part(line, inspector()))

    def take(self, payloads: list[bytes], before: int, last_ns: int) -> bool:
        """Messages of one connection, `before` lines before them. Returns whether all of them are valid JSON."""
        part = self.parts[-1]
        part.last_ns = last_ns
        inspection = part.inspector.inspect(payloads)
        heads = inspection.heads
        self._count_types(Counter([head.type for head in heads] if heads else map(_type, payloads)))
        gaps = [event for event in inspection.events if isinstance(event, Gap)]
        count = _count_each if gaps else _count_all
        count(part.numbered, heads)
        for gap in gaps:
            self._add_gap(part, FoundGap(before + gap.place, gap.sid, gap.expected, gap.got, gap.missing))
        return inspection.decoded

    def _count_types(self, found: Counter[str]) -> None:
        """`found` is in the order in which they came, so that it does not matter how the file is cut into blocks."""
        if len(self.types) + len(found) <= _MOST_TYPES:
            self.types.update(found)
            return
        for name, count in found.items():
            self.types[name if name in self.types or len(self.types) < _MOST_TYPES else _OTHERS] += count

    def add_midnight_gaps(self, found: Items[Session], entries: Entries, lines: int) -> None:
        """Count the gaps before the first number of a sid in a session that came over midnight.

        The number before it is in another file, so that the ledger alone tells of them.
        """
        for session, part, end in self._spans(found, lines):
            firsts = {sid: one.first for sid, one in part.numbered.items() if session.began.event == CONTINUED}
            told = (gap_of(entry) for entry in entries if entry.event == GAP) if firsts else ()
            for gap in told:
                as_it_counts = 0 < gap.expected != gap.got and gap.missing == max(0, gap.got - gap.expected)
                if part.line <= gap.line < end and firsts.get(gap.sid) == gap.got and as_it_counts:
                    del firsts[gap.sid]
                    self._add_gap(part, gap)

    def _add_gap(self, part: Part, gap: FoundGap) -> None:
        self.gaps.add(gap)
        if gap.sid in part.numbered:
            part.numbered[gap.sid].gaps += 1
            part.numbered[gap.sid].missing += gap.missing

    def _spans(self, found: Items[Session], lines: int) -> Iterator[tuple[Session, Part, int]]:
        """The part of each session, and how many lines stand before its end."""
        parts = self.parts[len(self.parts) - len(found) :]
        ends = [*[part.line for part in parts[1:]], lines][: len(parts)]
        return zip(found, parts, ends, strict=True)

    def records(
        self, found: Items[Session], times: Items[Listened], entries: Iterable[Entry], lines: int
    ) -> list[SessionRecord]:
        """The sessions, as the manifest has them. `lines`: how many the file has."""
        subscribed = [entry for entry in entries if entry.event == SUBSCRIBED and _is_named(entry)]
        records = []
        for (session, part, end), time in zip(self._spans(found, lines), times, strict=True):
            channels = {
                entry.fields.get("sid"): entry.fields.get("channel")
                for entry in subscribed
                if part.line <= entry.line < max(end, part.line + 1)
            }
            records.append(
                SessionRecord(
                    began=timestamp(time.begin_ns),
                    ended=timestamp(time.end_ns),
                    cause=session.cause,
                    line=part.line,
                    lines=end - part.line,
                    sequences=[
                        Sequence(sid, channels.get(sid), one.first, one.last, one.messages, one.gaps, one.missing)
                        for sid, one in sorted(part.numbered.items())
                    ],
                )
            )
        return records


def _is_named(entry: Entry) -> bool:
    """A ledger may be damaged and still be JSON."""
    return type(entry.fields.get("sid")) is int and isinstance(entry.fields.get("channel"), str)


def _count_each(known: dict[int, _Numbered], heads: Items[Head]) -> None:
    """The numbers of some messages."""
    for head in heads:
        if head.seq:
            one = known.setdefault(head.sid, _Numbered(head.seq))
            one.messages += 1
            one.last = head.seq


def _count_all(known: dict[int, _Numbered], heads: Items[Head]) -> None:
    """The numbers of some messages without a gap: the first and the last of each sid tell how many they are."""
    sids = {head.sid for head in heads}
    for sid, seq in _first_of_each(sids - known.keys(), heads).items():
        known[sid] = _Numbered(seq)
        known[sid].last = seq - 1
    for sid, seq in _first_of_each(sids, reversed(heads)).items():
        known[sid].messages += seq - known[sid].last
        known[sid].last = seq


def _first_of_each(sids: Set[int], heads: Iterable[Head]) -> dict[int, int]:
    """By sid, the first number of it, where it has one; stops when all are found."""
    found: dict[int, int] = {}
    if sids:
        for head in heads:
            if head.seq and head.sid in sids and head.sid not in found:
                found[head.sid] = head.seq
                if len(found) == len(sids):
                    break
    return found


def _type(payload: bytes) -> str:
    try:
        return _decode_type(payload).type
    except (ValueError, RecursionError):
        return ""
