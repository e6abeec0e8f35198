"""Finds shards whose files are missing or have the names of another shard's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ssmd.contracts.shard import Shard
from ssmd.errors import printable
from ssmd.proof.day_count import Finding
from ssmd.proof.missing import data_of, is_here
from ssmd.proof.verdict import Days, Feed
from ssmd.store.layout import feed_and_shard
from ssmd.store.ledger import CONTINUED, STARTED, Entry

__all__ = ["of_another_shard", "without_data"]


def of_another_shard(shard: Shard, entries: Iterable[Entry]) -> Iterator[Finding]:
    """Yield that the ledger was written by a run of another shard than the name of its file says, once at most."""
    for entry in entries:
        if entry.event in (STARTED, CONTINUED) and (label := entry.fields.get("shard") or "") != shard.label:
            whose = f"of the shard {printable(str(label))}" if label else "without shards"
            yield Finding(entry.line + 1, f"was written by a run {whose}, by the ledger, and not by the file's name")
            return


def without_data(feeds: Mapping[Feed, Days]) -> Iterator[str]:
    """Yield a sentence for each shard that has no data on days on which another shard of the same number has some."""
    found: dict[tuple[Path, str, int], dict[str, None]] = {}
    for (storage, stem), days in feeds.items():
        named = feed_and_shard(stem)
        if named is not None and not named[1].is_whole:
            found.setdefault((storage, named[0], named[1].of), {}).update(dict.fromkeys(days))
    for (storage, feed, of), days_of_others in found.items():
        for index in range(1, of + 1):
            one = storage, Shard(index, of).stem(feed)
            missing = [day for day in sorted(days_of_others) if day not in feeds.get(one, {}) and not is_here(one, day)]
            if missing:
                yield _sentence(one, missing)


def _sentence(feed: Feed, missing: list[str]) -> str:
    storage, stem = feed
    others = "although other shards of the same number are: it received nothing, did not run, or its files are missing"
    if len(missing) == 1:
        return f"{data_of(feed, missing[0])}: is not here, {others}"
    return f"{storage}: on {len(missing):,} days from {missing[0]} to {missing[-1]} {stem} is not here, {others}"
