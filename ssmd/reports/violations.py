"""Which messages of the days of a report were not as their schema says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ssmd.errors import DataError
from ssmd.reports.figures import Figures
from ssmd.store.file_kinds import MANIFEST
from ssmd.store.layout import day_of, feed_and_shard, ledger_path
from ssmd.store.ledger import VIOLATIONS, Entry
from ssmd.store.ledger_file import read_ledger
from ssmd.store.manifest_file import read_manifest

__all__ = ["violation_lines"]

_MOST = 20
"""How many types of a day are listed."""


def violation_lines(storage: Path, figures: Sequence[Figures], trouble: Callable[[DataError], None]) -> Iterator[str]:
    """Yield a line for each type of message of each sealed day, and shard, that has violations, with what is wrong with
    the first one; and a line where it is not known how many there are.

    `trouble` is called with the error of a manifest or a ledger that cannot be read.
    """
    for day in figures:
        folder = storage if day_of(storage.resolve()) else storage / day.day
        for path in sorted(folder.glob(f"{day.feed}*{MANIFEST}")) if day.sealed else ():
            stem = path.name.removesuffix(MANIFEST)
            named = feed_and_shard(stem)
            if named is None or named[0] != day.feed:
                continue
            try:
                manifest = read_manifest(path)
                lines = _described(manifest.schema_violations, folder, stem) if manifest is not None else []
            except DataError as error:
                trouble(error)
                continue
            yield from (f"{day.day} {stem}: {line}" for line in lines)


def _described(violations: object, folder: Path, stem: str) -> list[str]:
    """Return what a day has of violations: nothing for none, and where messages were not checked. Raises DataError.

    `violations`: what the manifest says.
    """
    if violations is not None and not (isinstance(violations, dict) and violations):
        return []
    ledger = read_ledger(ledger_path(folder, stem))
    entries = [] if ledger is None else [one for one in ledger.entries.outline() if one.event == VIOLATIONS]
    firsts: dict[str, Entry] = {}
    for entry in entries:
        kind = str(entry.fields.get("type"))
        firsts[kind] = min(firsts.get(kind, entry), entry, key=_first)
    if isinstance(violations, dict):
        return _types(Counter(violations), firsts, "")
    known: Counter[str] = Counter()
    for entry in entries:
        count = entry.fields.get("count")
        known[str(entry.fields.get("type"))] += count if isinstance(count, int) else 0
    why = "not all are known: a collector that checked messages was killed, or its check failed"
    return [why, *_types(known, firsts, "at least ")]


def _types(counts: Counter[str], firsts: Mapping[str, Entry], about: str) -> list[str]:
    """Return a line for each type, the most frequent first. `about`: what stands before each number."""
    lines = []
    for kind, count in counts.most_common(_MOST):
        many = f"{kind or 'without a type'}: {about}{count:,} message{'s' if count > 1 else ''}"
        lines.append(f"{many}, {_reason(firsts[kind])}" if kind in firsts else many)
    if more := len(counts) - len(lines):
        lines.append(f"and {more:,} more types")
    return lines


def _first(entry: Entry) -> str:
    """Return when the first message of an entry was received, as in its line."""
    return str(entry.fields.get("first"))


def _reason(entry: Entry) -> str:
    return f"the first at {_first(entry)}: {entry.fields.get('path') or 'it'} {entry.fields.get('reason')}"
