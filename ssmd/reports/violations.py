"""How many messages of the days of a report were not as their schema says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ssmd.errors import DataError
from ssmd.reports.figures import Figures
from ssmd.store.file_kinds import MANIFEST
from ssmd.store.layout import day_of, feed_and_shard
from ssmd.store.manifest_file import read_manifest

__all__ = ["violation_lines"]


def violation_lines(storage: Path, figures: Sequence[Figures], trouble: Callable[[DataError], None]) -> Iterator[str]:
    """Yield a line for each sealed day, and shard, that has violations, or of which it is not known whether it has any.

    `trouble` is called with the error of a manifest that cannot be read.
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
            except DataError as error:
                trouble(error)
                continue
            if manifest is not None and (found := _described(manifest.schema_violations)):
                yield f"{day.day} {stem}: {found}"


def _described(violations: object) -> str:
    """Return what a manifest says of violations; empty for none, and where messages were not checked."""
    if violations is None:
        return "not known: a collector that checked messages was killed, or its check failed"
    if not isinstance(violations, dict):
        return ""
    return ", ".join(f"{kind or '(none)'} {count:,}" for kind, count in violations.items())
