"""Seals a finished day: reads it back from the disk, and writes what it contains into its manifest and its shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from ssmd.contracts.shard import Shard, is_for
from ssmd.errors import DataError, OutputError
from ssmd.proof.day_shape import shape_of
from ssmd.proof.examine import Examination, examine
from ssmd.shape.file import write_shape
from ssmd.shape.learned import ShapeLearner
from ssmd.shape.markets import MarketCount
from ssmd.store.durable import write_durably
from ssmd.store.inventory import data_files, other_forms
from ssmd.store.joining import finish_join
from ssmd.store.layout import DayFile, ledger_path, manifest_path
from ssmd.store.locks import held
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_formats import encode_manifest
from ssmd.store.repair import Repaired, repair
from ssmd.store.timestamps import timestamp

__all__ = ["FRESH_SECONDS", "seal", "unsealed"]

FRESH_SECONDS = 3600.0
"""A file modified within this many seconds may still be open for writing."""


def unsealed(storage: Path, before: str, feed: str | None = None, shard: Shard | None = None) -> list[DayFile]:
    """Return the files of days before `before` (YYYY-MM-DD) that have no manifest, oldest first.

    `feed`: only this feed. `shard`: only the files that are for this one to seal. Raises UsageError and DataError for a
    storage folder that is not there or cannot be read.
    """
    return [
        file
        for file in data_files([storage], feed)
        if file.day and file.day < before and (shard is None or is_for(file.shard, shard)) and not _has_manifest(file)
    ]


def _has_manifest(file: DayFile) -> bool:
    return manifest_path(file.path.parent, file.stem).exists()


def seal(
    file: DayFile,
    now_ns: int,
    on_repair: Callable[[Repaired], None] = lambda repaired: None,
    progress: Callable[[int], None] = lambda done: None,
) -> Manifest | None:
    """Write and return the manifest of a day; return None when a collector or another ssmd command holds its file.

    The manifest gets its name when it is whole and durable, so an interruption leaves either none or a true one. The
    shape of the messages comes before it, so that a day with a manifest has both. A torn last line is set aside first,
    and `on_repair` is called with what was done: where a day was only copied to, perhaps no collector ever starts and
    does it. A torn file that was just written to is left alone, because a program that holds no lock may still be
    copying it. `progress` is called as examine() does.

    Raises OutputError, WriteError, and DataError for a day that cannot be read, exists in two forms, or is torn and
    either compressed or just written to.
    """
    with held(file.path) as ours:
        if not ours:
            return None
        _finish_join(file)
        if others := other_forms(file.path):
            raise DataError(
                f"{file.path}: the day exists in two forms, so it is not sealed: {others[0].path.name} is beside it; "
                "move one away"
            )
        found = examine(file, progress, shape=(learned := ShapeLearner()), markets=(counted := MarketCount()))
        if _is_torn(found):
            _repair(file, now_ns, on_repair)
            found = examine(file, progress, shape=(learned := ShapeLearner()), markets=(counted := MarketCount()))
        write_shape(file.path.parent, file.stem, shape_of(file, found, learned, counted))
        manifest = msgspec.structs.replace(found.manifest, sealed=timestamp(now_ns))
        write_durably(manifest_path(file.path.parent, file.stem), encode_manifest(manifest))
        return manifest


def _finish_join(file: DayFile) -> None:
    try:
        finish_join(file.path.parent, file.stem)
    except OSError as error:
        raise OutputError(f"{error.filename or file.path}: {error.strerror}") from None


def _is_torn(found: Examination) -> bool:
    return bool(found.torn or (found.ledger is not None and found.ledger.torn))


def _repair(file: DayFile, now_ns: int, on_repair: Callable[[Repaired], None]) -> None:
    problem = f"{file.path}: its last line, or its ledger's, is not whole"
    if file.form != "jsonl":
        raise DataError(problem)
    try:
        for path in (file.path, ledger_path(file.path.parent, file.stem)):
            if path.exists() and now_ns - path.stat().st_mtime_ns < FRESH_SECONDS * 1e9:
                raise DataError(f"{problem}; it was written to within the last hour, so try again later")
        for repaired in repair(file.path, file.stem, now_ns):
            on_repair(repaired)
    except OSError as error:
        raise OutputError(f"{error.filename or file.path}: {error.strerror}") from None
