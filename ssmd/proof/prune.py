"""Removes the data of a sealed day from this host, once it is proved and a complete copy of it is elsewhere.

Ledger and manifest stay, and a note says where the data is. The order of the steps makes a kill or a power failure safe
at any time: first the note is written durably, then the data is removed. Where a kill has left both, the next run
removes the data.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from ssmd.errors import DataError, WriteError, printable
from ssmd.proof.verify import verify
from ssmd.store.durable import remove, sync_directory
from ssmd.store.inventory import data_files, day_folders, looking
from ssmd.store.layout import PARQUET, DayFile, feed_of, forms_of, manifest_path, temporary
from ssmd.store.locks import held
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest
from ssmd.store.pruned import PrunedDay, is_pruned, write_pruned
from ssmd.store.timestamps import timestamp

__all__ = ["Copy", "Kept", "Pruned", "prunable", "prune", "remove_rests"]


class Copy(Protocol):
    """A copy of the storage elsewhere."""

    name: str
    """Its address: `s3://bucket/prefix`."""

    def lack(self, file: DayFile, manifest: Manifest) -> str:
        """Return what a day lacks in the copy, as a phrase without its subject that names the copy, such as "is not
        complete in s3://bucket/prefix"; empty for nothing.

        It asks the copy each time. Raises EngineError when that is not possible.
        """


class Pruned(NamedTuple):
    """The data was removed, or would be without `dry_run`."""

    bytes: int
    """How much space this frees, in bytes."""


class Kept(NamedTuple):
    """The day was left as it is."""

    why: str
    """The reason, as a phrase without its subject: "is not sealed yet"."""


def prunable(storage: Path, feeds: frozenset[str], today: str, keep_days: int) -> list[DayFile]:
    """Return the data of the days that are older than `keep_days` days, oldest first.

    `today`: YYYY-MM-DD. Raises UsageError and DataError for a storage folder that is not there or cannot be read.
    """
    before = (date.fromisoformat(today) - timedelta(keep_days)).isoformat()
    return [file for file in data_files([storage]) if file.feed in feeds and file.day and file.day < before]


def remove_rests(storage: Path, feeds: frozenset[str]) -> list[Path]:
    """Remove folders of pruned days that a kill has left half removed, under a name that no command reads; return them.

    Raises UsageError and DataError for a storage folder that is not there or cannot be read, and WriteError.
    """
    with looking(storage):
        rests = [path for folder in day_folders(storage) for path in folder.glob(f"*.{temporary(Path(PARQUET)).name}")]
    found = []
    for path in sorted(rests):
        stem = path.name.removesuffix(f".{temporary(Path(PARQUET)).name}")
        # While there is data, or no note, this may be what `ssmd compact --parquet` is making.
        if feed_of(stem) in feeds and is_pruned(path.parent, stem):
            found.append(path)
    try:
        for path in found:
            remove(path)
            sync_directory(path.parent)
    except OSError as error:
        raise WriteError(f"{error.filename or path}: {error.strerror}") from None
    return found


def prune(
    file: DayFile,
    copy: Copy,
    now_ns: int,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Pruned | Kept:
    """Remove the data of one day, in every form, if all is proved. `progress`: as of verify().

    Raises EngineError, OutputError, WriteError, and DataError for a day that is not what was sealed. After an error,
    there is all of the data, or the note.
    """
    folder = file.path.parent
    if file.path.is_symlink() or folder.is_symlink():
        return Kept(f"is behind a link, to {printable(os.path.realpath(file.path))}, and links are not pruned")
    manifest = read_manifest(manifest_path(folder, file.stem))
    if manifest is None:
        return Kept("is not sealed yet")
    with held(file.path) as ours:
        if not ours:
            return Kept("is being written, or another ssmd command is working on it")
        if lack := copy.lack(file, manifest):
            return Kept(lack)
        if findings := verify(file, progress).findings:
            raise DataError(f"{file.path}: nothing is removed: it {findings[0].text}; `ssmd verify` reports all of it")
        forms = [path for path in forms_of(folder, file.stem) if path.exists()]
        size = sum(map(_size, forms))
        if not dry_run:
            write_pruned(folder, file.stem, PrunedDay(timestamp(now_ns), copy.name, manifest.sha256))
            _remove(forms)
    return Pruned(size)


def _size(path: Path) -> int:
    paths = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(one.stat().st_size for one in paths if one.is_file())


def _remove(forms: list[Path]) -> None:
    try:
        for path in forms:
            if path.is_dir():  # Half of a folder must not be taken for a day.
                path = path.rename(temporary(path))
                sync_directory(path.parent)
                shutil.rmtree(path)
            else:
                path.unlink()
            sync_directory(path.parent)
    except OSError as error:
        raise WriteError(f"{error.filename or forms[0]}: {error.strerror}") from None
