"""What there is in a storage folder: days, data files, ledgers and manifests.

A folder is listed once. A day that is compacted before its turn comes has a file of another name then, which
in_any_form() finds.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ssmd.contracts.shard import Shard
from ssmd.errors import DataError, UsageError, printable
from ssmd.store.file_kinds import LEDGER, MANIFEST
from ssmd.store.layout import FORMS, PACKED_LEDGERS, PARQUET, DayFile, day_of, feed_and_shard, forms_of, read_name

__all__ = [
    "bytes_on_disk",
    "data_files",
    "day_folders",
    "in_any_form",
    "looking",
    "other_forms",
    "own_ledgers",
    "own_manifests",
    "packed_ledger",
]

T = TypeVar("T")


def day_folders(root: Path) -> list[Path]:
    """Return the day folders in a storage folder, oldest first. Raises OSError."""
    return sorted(folder for folder in root.iterdir() if day_of(folder) is not None and folder.is_dir())


def data_files(paths: Iterable[Path], feed: str | None = None, shard: Shard | None = None) -> list[DayFile]:
    """Return the data in files, day folders and storage folders, by day, feed and shard, each file once.

    Of a day with several forms only the first of FORMS is returned. `feed`: only this feed, with all its shards.
    `shard`: only this one. A folder may contain no data. Raises UsageError for a path that does not exist or has no
    name of ssmd's, DataError for one that cannot be read.
    """
    found: dict[Path, DayFile] = {}
    for path in paths:
        with looking(path):
            for file in _below(path):
                if feed in (None, file.feed) and shard in (None, file.shard):
                    found.setdefault(file.path.resolve(), file)
    return sorted(found.values())


@contextmanager
def looking(path: Path) -> Iterator[None]:
    """Raise DataError where `path`, or what lies below it, cannot be read."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{printable(str(error.filename or path))}: cannot be read: {error.strerror}") from None


def _below(path: Path) -> Iterator[DayFile]:
    if not path.exists():
        not_read = ", and the standard input is not read" if str(path) == "-" else ""
        raise UsageError(f"{printable(str(path))}: there is no such file or folder{not_read}")
    if not path.is_dir() or ((file := read_name(path)) is not None and file.form == PARQUET):
        yield _one_file(path)
    elif (day := day_of(path.resolve())) is not None:
        yield from _in_folder(path, day)
    else:
        for folder in day_folders(path):
            yield from _in_folder(folder, folder.name)


def _one_file(path: Path) -> DayFile:
    file = read_name(path)
    if path.name.endswith(PACKED_LEDGERS):
        raise UsageError(f"{printable(str(path))}: is a compressed ledger; {_unpack(path)}, then name its data")
    if file is None:
        raise UsageError(f"{printable(str(path))}: is not named like data of ssmd, <feed>.{' or .'.join(FORMS)}")
    if file.form == PARQUET and not path.is_dir():
        raise UsageError(f"{printable(str(path))}: is a file, but a day in Parquet is a folder; name that folder")
    if not _is_there(file):
        raise UsageError(f"{printable(str(path))}: is no regular file; name a file that ssmd has kept, or a folder")
    return file


def _is_there(file: DayFile) -> bool:
    return file.path.is_dir() if file.form == PARQUET else file.path.is_file()


def _in_folder(folder: Path, day: str) -> Iterator[DayFile]:
    best: dict[str, DayFile] = {}
    try:
        paths = list(folder.iterdir())
    except FileNotFoundError:
        return  # Old days may be moved away at any time.
    for path in paths:
        file = read_name(path, day)
        if file is None or not _is_there(file):
            continue
        known = best.get(file.stem)
        if known is None or FORMS.index(file.form) < FORMS.index(known.form):
            best[file.stem] = file
    yield from best.values()


def in_any_form(path: Path, look: Callable[[Path], T]) -> T:
    """Return look(path) or, if that file is gone, as after compaction, look() of another form. Raises what it does."""
    for candidate in (path, *(other.path for other in _others(path))):
        try:
            return look(candidate)
        except FileNotFoundError:
            continue
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def other_forms(path: Path) -> list[DayFile]:
    """Return the other forms in which the day of a data file exists too, in the order of FORMS."""
    return [other for other in _others(path) if _is_there(other)]


def _others(path: Path) -> list[DayFile]:
    file = read_name(path)
    if file is None:
        return []
    others = [read_name(other, file.day) for other in forms_of(path.parent, file.stem)]
    return [other for other in others if other is not None and other.form != file.form]


def bytes_on_disk(path: Path) -> int:
    """Return the size of a day's data as it is stored: that of a file, or of all files in a folder. Raises OSError."""
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())


def packed_ledger(folder: Path, stem: str) -> str | None:
    """Return the name of a ledger that somebody has compressed, and what to do; None when there is none."""
    for ending in PACKED_LEDGERS:
        path = folder / f"{stem}{ending}"
        if path.exists():
            return f"{path.name} is a compressed ledger; {_unpack(path)}"
    return None


def _unpack(path: Path) -> str:
    command = "zstd -d --rm" if path.suffix == ".zst" else "gunzip"
    return f"unpack it with `{command} {printable(str(path))}`"


def own_ledgers(folder: Path) -> dict[str, Path]:
    """Return the ledgers in a day's folder, by stem."""
    return _by_stem(folder, LEDGER)


def own_manifests(folder: Path) -> dict[str, Path]:
    """Return the manifests in a day's folder, by stem."""
    return _by_stem(folder, MANIFEST)


def _by_stem(folder: Path, ending: str) -> dict[str, Path]:
    # Other systems leave files beside those that they copy, such as `._kalshi.manifest.json`.
    found = {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}"))}
    return {stem: path for stem, path in found.items() if feed_and_shard(stem)}
