"""The sequences of a day's sessions: how many messages each has, and how many of them are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from msgspec import UNSET, UnsetType

from ssmd.contracts.exchange import Head, Inspector
from ssmd.proof.gaps import NOT_KNOWN, FoundGap
from ssmd.store.manifest import OtherSequences

__all__ = ["SequenceTally", "SessionTally", "count_all", "count_each", "opens"]


class SequenceTally:
    """The counts of the numbered messages of one sid."""

    __slots__ = ("first", "first_line", "gaps", "last", "messages", "missing", "name")

    def __init__(self, first: int, first_line: int) -> None:
        self.first = self.last = first
        self.first_line = first_line
        """How many lines come before the message with the first number."""
        self.messages = self.gaps = 0
        self.missing: int | None = 0
        """None when one of the gaps does not show it."""
        self.name = ""
        """The scope, for people, such as a market; set when the session has ended."""

    def add_gap(self, missing: int) -> None:
        """Count a gap. `missing`: NOT_KNOWN when its numbers do not show it."""
        self.gaps += 1
        self.missing = None if missing == NOT_KNOWN or self.missing is None else self.missing + missing


class SessionTally:
    """The counts of the lines of one session, or of those before the first session.

    `most`: how many of its sequences are kept by themselves when it has ended; None for all.
    """

    def __init__(self, line: int, inspector: Inspector, most: int | None = None) -> None:
        self.line = line
        """How many lines come before its first one."""
        self.inspector: Inspector | None = inspector
        """None when the session has ended."""
        self.sequences: dict[int, SequenceTally] = {}
        """By sid; when it has ended, those that are kept."""
        self.others: OtherSequences | UnsetType = UNSET
        """The sum of those that are not kept; UNSET for none."""
        self.last_ns = 0
        """When its last line was received; 0 when it has none."""
        self._most = most

    def end(self) -> None:
        """Free the memory that only further messages would need. May be called again."""
        if self.inspector is None:
            return
        kept = sorted(self.sequences, key=lambda sid: (-self.sequences[sid].gaps, sid))[: self._most]
        left_out = self.sequences.keys() - kept
        more = [self.sequences[sid] for sid in left_out]
        self.sequences = {sid: self.sequences[sid] for sid in sorted(kept)}
        for sid, one in self.sequences.items():
            one.name = self.inspector.sequence_name(sid)
        if more:
            missing = [one.missing for one in more if one.missing is not None]
            self.others = OtherSequences(
                sequences=len(more),
                messages=sum(one.messages for one in more),
                gaps=sum(one.gaps for one in more),
                missing=sum(missing) if len(missing) == len(more) else None,
            )
        self.inspector = None


def opens(sequence: SequenceTally, gap: FoundGap) -> bool:
    """Return whether a gap of the ledger can be the one before a sequence's first number in this file."""
    if gap.missing == NOT_KNOWN:  # Its numbers need not be the message's own.
        return gap.line == sequence.first_line
    return sequence.first == gap.got != gap.expected > 0 and gap.missing == max(0, gap.got - gap.expected)


def count_each(known: dict[int, SequenceTally], heads: Sequence[Head], before: int) -> None:
    """Count the numbers of some messages, which have `before` lines before them, one by one."""
    for line, head in enumerate(heads, before):
        if (seq := head.seq) is not None:
            if (one := known.get(head.sid)) is None:
                one = known[head.sid] = SequenceTally(seq, line)
            one.messages += 1
            one.last = seq


def count_all(known: dict[int, SequenceTally], heads: Sequence[Head], before: int) -> None:
    """Count the numbers of some messages without a gap: the first and the last of each sid say how many there are."""
    sids = {head.sid for head in heads}
    for sid, (place, seq) in _first_of_each(sids - known.keys(), heads).items():
        known[sid] = SequenceTally(seq, before + place)
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
