"""Advisories: what people should know about verified days although it proves no damage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ssmd.contracts.exchange import LOSS_NOT_DETECTED
from ssmd.proof.missing import data_of, is_here, never_finished, never_written
from ssmd.proof.shards import without_data
from ssmd.proof.verdict import Days, Feed, Verdict, by_feed
from ssmd.store.layout import data_path, feed_of, torn_path
from ssmd.store.ledger import CONTINUED, TORN
from ssmd.store.manifest_formats import known
from ssmd.store.pruned import pruned_data

__all__ = ["advisories"]


def advisories(verdicts: Sequence[Verdict], paths: Sequence[Path] = ()) -> Iterator[str]:
    """Yield one sentence for each, beginning with the path that it is about.

    `paths`: the files and folders that were verified.
    """
    for verdict in verdicts:
        yield from (f"{verdict.file.path}: {note}" for note in verdict.notes)
        for other in verdict.duplicates:
            yield f"{verdict.file.path}: the same lines are also in {other.path.name}; `ssmd compact` keeps one"
    feeds = by_feed(verdicts)
    for feed, days in feeds.items():
        newest_sealed = max((day for day, verdict in days.items() if verdict.sealed), default="")
        for day, verdict in days.items():
            if not verdict.sealed and day < newest_sealed:
                yield (
                    f"{verdict.file.path}: has no manifest, but a later day has one: it was removed, or the day was "
                    "never sealed"
                )
            yield from _of_ledger(feed, days, verdict)
    yield from _of_loss(feeds)
    yield from never_finished(paths, feeds)
    yield from without_data(feeds)
    yield from pruned_data(paths)


def _of_loss(feeds: Mapping[Feed, Days]) -> Iterator[str]:
    """Yield one sentence for all days of a feed, with its shards, on which lost messages do not show."""
    of_feed: dict[tuple[Path, str], list[Verdict]] = {}
    for (storage, stem), days in feeds.items():
        of_feed.setdefault((storage, feed_of(stem)), []).extend(days.values())
    for (storage, name), verdicts in of_feed.items():
        found = [verdict.file for verdict in verdicts if _hides_loss(verdict)]
        if len(found) == 1:
            yield f"{found[0].path}: {LOSS_NOT_DETECTED}"
        elif found:
            count, whole = len({file.day for file in found}), len({verdict.file.day for verdict in verdicts})
            yield f"{storage}: on {count:,} of {whole:,} days of {name} {LOSS_NOT_DETECTED}"


def _hides_loss(verdict: Verdict) -> bool:
    manifest = verdict.examination.manifest if verdict.examination is not None else None
    return manifest is not None and manifest.lines > 0 and known(manifest).sequence_gaps is None


def _of_ledger(feed: Feed, days: Days, verdict: Verdict) -> Iterator[str]:
    """Yield a sentence for each file that a day's ledger mentions and that is not here."""
    path, day = verdict.file.path, verdict.file.day
    if day == next(iter(days)) and len(days) > 1:
        for entry in verdict.entries:
            before = entry.fields.get("from")
            if entry.event == CONTINUED and isinstance(before, str) and not is_here(feed, before):
                yield f"{path}: continues {before}, which is not here: it was moved away, or is missing"
    aside = torn_path(data_path(path.parent, verdict.file.stem))
    if any(entry.event == TORN for entry in verdict.entries) and not aside.exists():
        yield f"{aside}: is not here, although the ledger says that a torn line was set aside in it"
    for to in never_written(feed, days, day):
        yield (
            f"{data_of(feed, to)}: is not here, although {day} should continue in it: nothing was written to it, or it "
            "was removed before the next start"
        )
