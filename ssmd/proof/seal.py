"""Sealing: a finished day is read back from the disk, and what it holds is written into its manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from ssmd.errors import DataError, OutputError
from ssmd.proof.examine import Examination, examine
from ssmd.store.durable import write_durably
from ssmd.store.inventory import data_files, other_forms
from ssmd.store.layout import DayFile, ledger_path, manifest_path
from ssmd.store.locks import held
from ssmd.store.manifest import Manifest, encode_manifest
from ssmd.store.repair import Repaired, repair
from ssmd.store.timestamps import timestamp

__all__ = ["FRESH_SECONDS", "seal", "unsealed"]

FRESH_SECONDS = 3600.0
"""What was written to since may still be."""


def unsealed(storage: Path, before: str, feed: str | None = None) -> list[DayFile]:
    """The days before `before` (YYYY-MM-DD) that have no manifest, oldest first. Raises UsageError."""
    return [
        file
        for file in data_files([storage], feed)
        if file.day and file.day < before and not manifest_path(file.path.parent, file.feed).exists()
    ]


def seal(file: DayFile, now_ns: int, told: Callable[[Repaired], None] = lambda repaired: None) -> Manifest | None:
    """Write the manifest of a day; None when a collector, or another program of ours, holds its file.

    Until the manifest is whole and durable it has another name, so there is either none or a true one, wherever
    this is interrupted. What a kill has left torn is set aside first, as at a collector's start, for of a day that was
    copied here no collector may ever start; `told` is told. Not when it is fresh: somebody may be copying it, who holds
    no lock. Raises DataError for what cannot be read, is torn and fresh or compressed, or is there in two forms,
    OutputError and WriteError.
    """
    with held(file.path) as ours:
        if not ours:
            return None
        if others := other_forms(file.path):
            raise DataError(
                f"{file.path}: the day is there in two forms, and so not sealed: {others[0].path.name} lies beside it; "
                "move one away"
            )
        found = examine(file)
        if _is_torn(found):
            _repair(file, now_ns, told)
            found = examine(file)
        manifest = msgspec.structs.replace(found.manifest, sealed=timestamp(now_ns))
        write_durably(manifest_path(file.path.parent, file.feed), encode_manifest(manifest))
        return manifest


def _is_torn(found: Examination) -> bool:
    return bool(found.torn or (found.ledger is not None and found.ledger.torn))


def _repair(file: DayFile, now_ns: int, told: Callable[[Repaired], None]) -> None:
    problem = f"{file.path}: its last line, or its ledger's, is not whole"
    if file.form != "jsonl":
        raise DataError(problem)
    try:
        for path in (file.path, ledger_path(file.path.parent, file.feed)):
            if path.exists() and now_ns - path.stat().st_mtime_ns < FRESH_SECONDS * 1e9:
                raise DataError(f"{problem}; it was written to within the last hour, so try again later")
        for repaired in repair(file.path, file.feed, now_ns):
            told(repaired)
    except OSError as error:
        raise OutputError(f"{error.filename or file.path}: {error.strerror}") from None
