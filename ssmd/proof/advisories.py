"""What a reader of the verdicts should know and what proves no damage: files that may have been put away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ssmd.proof.missing import data_path, is_here, never_written, only_begun
from ssmd.proof.verdict import Days, Feed, Verdict, by_feed
from ssmd.store.ledger import CONTINUED, TORN

__all__ = ["notes"]


def notes(verdicts: Sequence[Verdict], paths: Iterable[Path] = ()) -> Iterator[str]:
    """One sentence for each, beginning with the path that it is about. `paths`: where the verdicts are from."""
    for verdict in verdicts:
        yield from (f"{verdict.file.path}: {note}" for note in verdict.notes)
    feeds = by_feed(verdicts)
    for feed, days in feeds.items():
        newest_sealed = max((day for day, verdict in days.items() if verdict.sealed), default="")
        for day, verdict in days.items():
            if not verdict.sealed and day < newest_sealed:
                yield (
                    f"{verdict.file.path}: has no manifest, and a later day has one: it was removed, or the day never "
                    "sealed"
                )
            yield from _of_ledger(feed, days, verdict)
    for ledger in only_begun(paths, feeds):
        yield f"{ledger}: is empty, and there is no data: a collector ended as it began the day"


def _of_ledger(feed: Feed, days: Days, verdict: Verdict) -> Iterator[str]:
    """What a day's ledger tells of and is not here."""
    path, day = verdict.file.path, verdict.file.day
    if day == next(iter(days)) and len(days) > 1:
        for entry in verdict.entries:
            before = entry.fields.get("from")
            if entry.event == CONTINUED and isinstance(before, str) and not is_here(feed, before):
                yield f"{path}: goes on from {before}, which is not here: it was put away, or is missing"
    aside = path.parent / f"{verdict.file.feed}.jsonl.torn"
    if any(entry.event == TORN for entry in verdict.entries) and not aside.exists():
        yield f"{aside}: is not here, though the ledger tells of what was set aside in it"
    for to in never_written(feed, days, day):
        yield (
            f"{data_path(feed, to)}: is not here, though {day} was to go on in it: by the next start nothing of it was "
            "written, or it was gone by then"
        )
