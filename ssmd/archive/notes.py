"""What a reader of the verdicts should know and what proves no damage: files that may have been put away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssmd.archive.ledger import CONTINUED, TORN
from ssmd.archive.verify import Verdict

__all__ = ["notes"]


def notes(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """One sentence for each, beginning with the path that it is about."""
    for verdict in verdicts:
        file, ledger = verdict.file, verdict.examination.ledger if verdict.examination is not None else None
        for note in verdict.notes:
            yield f"{file.path}: {note}"
        entries = ledger.entries if ledger is not None else []
        beside = [other for other in verdicts if _is_beside(other, verdict)]
        if not verdict.sealed and any(other.sealed and other.file.day > file.day for other in beside):
            yield f"{file.path}: has no manifest, and a later day has one: it was removed, or the day never sealed"
        oldest = all(other.file.day >= file.day for other in beside)
        for entry in entries:
            before = entry.fields.get("from")
            if oldest and beside and entry.event == CONTINUED and isinstance(before, str):
                yield f"{file.path}: goes on from {before}, which is not here: it was put away, or is missing"
        aside = file.path.parent / f"{file.feed}.jsonl.torn"
        if any(entry.event == TORN for entry in entries) and not aside.exists():
            yield f"{aside}: is not here, though the ledger tells of what was set aside in it"


def _is_beside(other: Verdict, verdict: Verdict) -> bool:
    """Of the same feed in the same storage, and another day."""
    mine, its = verdict.file, other.file
    same = its.feed == mine.feed and its.path.resolve().parent.parent == mine.path.resolve().parent.parent
    return same and its.day != mine.day
