"""Compacts a sealed day: packs it into a smaller form, and removes the one that it had once the new one is proved.

The order of the steps makes a kill or a power failure safe at any time. The new form is written under another name,
synced, read back from the disk and compared with the manifest's SHA-256. Then it is renamed and the name is synced.
Only then is the other form removed. The next run finishes what an interrupted one has left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import DataError, SsmdError, WriteError, printable
from ssmd.proof.packer import Packer, Progress, proved
from ssmd.store.durable import reason_of, remove, sync_directory, sync_tree
from ssmd.store.inventory import bytes_on_disk, data_files, other_forms
from ssmd.store.layout import FORMS, PARQUET, DayFile, manifest_path, temporary
from ssmd.store.locks import held
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest

__all__ = ["Compacted", "Left", "candidates", "compact"]

_PLAIN = FORMS[0]


class Compacted(NamedTuple):
    """The day is compacted now, or would be without `dry_run`."""

    stored_bytes: int
    """Of the file that was packed."""
    packed_bytes: int
    """0 in a dry run."""
    removed: tuple[str, ...]
    """The names of the files of other forms that were removed, or would be."""
    finished: bool
    """An earlier run had already packed it, and only other forms had to be removed."""


class Left(NamedTuple):
    """The day was left as it is."""

    why: str
    """The reason, as a phrase without its subject: "is not sealed; ..."."""


def candidates(storage: Path, before: str, form: str, feeds: Iterable[str] | None = None) -> list[DayFile]:
    """Return the days before `before` (YYYY-MM-DD) that may be packed into a form, oldest first.

    Into Parquet that is every other form, into another one only plain files. `feeds`: only these, None for all. Raises
    UsageError and DataError.
    """
    found = (file for file in data_files([storage]) if file.day and file.day < before)
    wanted = [file for file in found if feeds is None or file.feed in feeds]
    return [file for file in wanted if (file.form != PARQUET if form == PARQUET else file.form == _PLAIN)]


def compact(file: DayFile, packer: Packer, *, dry_run: bool, progress: Progress) -> Compacted | Left:
    """Pack one day. Raises OutputError, WriteError, and DataError for data that does not match its manifest.

    After an error the other form is still there. `progress` is called with how many bytes of the file, compressed or
    not, are done since the last time; each counts as often as the packer reads the day, and once when that is read
    back. A dry run reads the same data and raises the same DataError.
    """
    if file.path.is_symlink():
        # Removing a link frees no space, and the file that it leads to may belong to somebody else.
        return Left(f"is a link to {printable(os.readlink(file.path))}, and links are not compacted")
    manifest = read_manifest(manifest_path(file.path.parent, file.stem))
    if manifest is None:
        return Left("is not sealed; `ssmd seal` does that")
    with held(file.path) as ours:
        if not ours:
            return Left("is being written, or another ssmd command is working on it")
        day = _Day(file, manifest, file.path.stat().st_size, progress)
        day.require_size()
        if (packed := day.packed(packer.form)) is not None:
            return day.finish(packed, dry_run)
        if dry_run:
            day.require(file.path)
            return Compacted(day.size, 0, _names(day.replaced(packer.form)), finished=False)
        return day.pack(packer)


class _Day(NamedTuple):
    """A day that is compacted."""

    file: DayFile
    manifest: Manifest
    size: int
    """Of the file."""
    progress: Progress

    def require_size(self) -> None:
        if self.file.form == _PLAIN and self.size != self.manifest.bytes:
            raise DataError(
                f"{self.file.path}: has {self.size:,} bytes, but its manifest says {self.manifest.bytes:,}; "
                "nothing is removed. `ssmd verify` reports the details"
            )

    def packed(self, form: str) -> DayFile | None:
        """Return the other form in which the day is packed already; None when it is not.

        When it is to be a .zst file, Parquet will do too: it is smaller still.
        """
        others = {other.form: other for other in other_forms(self.file.path)}
        return others.get(form) or others.get(PARQUET)

    def replaced(self, form: str) -> list[DayFile]:
        """Return the forms that are not needed any more once there is `form`; the first one is the file itself."""
        others = other_forms(self.file.path) if form == PARQUET else []
        return [self.file, *(one for one in others if one.form != PARQUET and not one.path.is_symlink())]

    def pack(self, packer: Packer) -> Compacted:
        target = self.file.path.with_name(f"{self.file.stem}.{packer.form}")
        new = temporary(target)
        try:
            packer.pack(self.file, new, self.manifest, self._advance)
            _copy_status(self.file.path.stat(), new)
            sync_tree(new)
            self.require(new, packer.form)
            os.rename(new, target)
            sync_directory(target.parent)
            size = bytes_on_disk(target)
            replaced = self.replaced(packer.form)
            for other in replaced[1:]:
                self.require(other.path)
            _remove(replaced)
        except OSError as error:
            _drop(new)
            raise WriteError(f"{target}: {reason_of(error)}") from None
        except SsmdError:
            _drop(new)
            raise
        return Compacted(self.size, size, _names(replaced), finished=False)

    def finish(self, packed: DayFile, dry_run: bool) -> Compacted:
        """Remove what is still beside a form in which the day is packed, once all are proved to match the manifest."""
        replaced = self.replaced(packed.form)
        for one in (packed, *replaced):
            self.require(one.path)
        try:
            if not dry_run:
                _remove(replaced)
            return Compacted(self.size, bytes_on_disk(packed.path), _names(replaced), finished=True)
        except OSError as error:
            raise WriteError(f"{error.filename or self.file.path}: {error.strerror}") from None

    def require(self, path: Path, form: str | None = None) -> None:
        """Raise DataError unless what is in `path` matches the manifest."""
        for _ in proved(path, self.manifest, self._advance, form):
            pass

    def _advance(self, count: float) -> None:
        self.progress(count * self.size / max(1, self.manifest.bytes))


def _names(files: Iterable[DayFile]) -> tuple[str, ...]:
    return tuple(file.path.name for file in files)


def _copy_status(status: os.stat_result, new: Path) -> None:
    """Give a new file, or a folder and all that is in it, times and permissions, and the owner if that is allowed."""
    inside = sorted(new.rglob("*"), reverse=True) if new.is_dir() else []
    for path in (*inside, new):
        mode = status.st_mode & 0o777
        # Whoever may read a file may look into a folder.
        path.chmod(mode | (mode & 0o444) >> 2 if path.is_dir() else mode)
        with contextlib.suppress(PermissionError):
            os.chown(path, status.st_uid, status.st_gid)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove(files: Iterable[DayFile]) -> None:
    for file in files:
        file.path.unlink()
        sync_directory(file.path.parent)


def _drop(new: Path) -> None:
    with contextlib.suppress(OSError):
        remove(new)
