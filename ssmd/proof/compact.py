"""Compaction: a sealed day becomes a .jsonl.zst, and the plain file goes once that is proved and durable.

The order is what makes it safe to kill, or to cut the power, at any step: the compressed file is written under
another name, synced, read back from the disk and held against the manifest's SHA-256; then renamed and the name
synced; only then is the plain file removed. Whatever is left by an interrupted run, the next one finishes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from ssmd.errors import DataError, OutputError, WriteError, printable
from ssmd.reading.blocks import unpacked
from ssmd.store.durable import drop_from_cache, sync_directory
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile, manifest_path
from ssmd.store.locks import held
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest

__all__ = ["LEVELS", "Compacted", "Left", "candidates", "compact"]

LEVELS = range(1, 20)
"""Of zstd. With 9 order books become some 25 times smaller, at 100 MB/s of one core; with higher ones a tenth more."""

_CHUNK = 1024 * 1024

Progress = Callable[[int], None]


class Compacted(NamedTuple):
    """A day is compressed now, or with `dry_run` would be."""

    plain_bytes: int
    packed_bytes: int
    """0 when it is not known yet."""
    finished: bool
    """An earlier run had compressed it; only the plain file was left to be removed."""


class Left(NamedTuple):
    """A day is left as it is."""

    why: str


def candidates(storage: Path, before: str) -> list[DayFile]:
    """The plain files of days before `before` (YYYY-MM-DD), oldest first. Raises UsageError."""
    return [file for file in data_files([storage]) if file.form == "jsonl" and file.day and file.day < before]


def compact(file: DayFile, *, level: int, dry_run: bool, progress: Progress) -> Compacted | Left:
    """Compress one day; `progress` is told how many of the plain bytes are done, twice over: written and read back.

    A dry run finds the same wrong with what is there. Raises DataError when the data does not agree with its manifest,
    OutputError and WriteError. The plain file is there then.
    """
    if file.path.is_symlink():
        # To remove a link frees nothing, and what it leads to may be another's.
        target = printable(os.readlink(file.path))
        return Left(f"is a link to {target}, and only a file that lies here is compacted")
    manifest = read_manifest(manifest_path(file.path.parent, file.feed))
    if manifest is None:
        return Left("is not sealed; `ssmd seal` does that")
    packed = file.path.with_name(file.path.name + ".zst")
    with held(file.path) as ours:
        if not ours:
            return Left("is being written, or another program of ours is at work on it")
        _require_size(file.path, manifest)
        if packed.exists():
            return _finish(file.path, packed, manifest, dry_run, progress)
        if dry_run:
            with _reading(file.path) as plain:
                _require(file.path, _pieces(plain, progress), manifest)
            return Compacted(manifest.bytes, 0, finished=False)
        new = packed.with_name(packed.name + ".new")
        try:
            _pack(file.path, new, manifest, level, progress)
            os.rename(new, packed)
            sync_directory(packed.parent)
            size = packed.stat().st_size
            _remove(file.path)
        except OSError as error:
            _drop(new)
            raise WriteError(f"{packed}: {error.strerror}") from None
        except DataError:
            _drop(new)
            raise
    return Compacted(manifest.bytes, size, finished=False)


def _finish(plain: Path, packed: Path, manifest: Manifest, dry_run: bool, progress: Progress) -> Compacted:
    """Both files are there: remove the plain one if it is true that both hold what the manifest says."""
    with _reading(packed) as file:
        _require(packed, _unpacked(file, packed, progress), manifest)
    with _reading(plain) as file:
        _require(plain, _pieces(file, progress), manifest)
    if not dry_run:
        try:
            _remove(plain)
        except OSError as error:
            raise WriteError(f"{plain}: {error.strerror}") from None
    return Compacted(manifest.bytes, packed.stat().st_size, finished=True)


def _pack(plain: Path, new: Path, manifest: Manifest, level: int, progress: Progress) -> None:
    """Write the compressed file, durably, and prove that the disk gives back what the manifest says."""
    try:
        new.unlink(missing_ok=True)  # A run that was killed may have left it, and it may be another user's.
        file = open(new, "x+b")  # noqa: SIM115 # Closed below; only a failure to open it is another error.
    except OSError as error:
        raise OutputError(f"{new}: {error.strerror}") from None
    with file:
        with _reading(plain) as source:
            compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
            writer = compressor.stream_writer(file, size=manifest.bytes, closefd=False)
            try:
                _require(plain, _copied(_pieces(source, progress), writer.write), manifest)
                writer.flush(zstandard.FLUSH_FRAME)
            except zstandard.ZstdError as error:
                raise DataError(f"{plain}: {error}") from None
            _take_after(source.fileno(), file.fileno())
        file.flush()
        os.fsync(file.fileno())
        # What is read back then comes from the disk, and not out of memory.
        drop_from_cache(file.fileno())
        file.seek(0)
        _require(new, _unpacked(file, new, progress), manifest)


def _copied(pieces: Iterator[bytes], write: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in pieces:
        write(piece)
        yield piece


def _require(path: Path, pieces: Iterator[bytes], manifest: Manifest) -> None:
    """Raise DataError unless the pieces together are what was sealed."""
    digest = hashlib.sha256()
    size = 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    if (size, digest.hexdigest()) != (manifest.bytes, manifest.sha256):
        raise DataError(f"{path}: is not what its manifest says; nothing is removed. `ssmd verify` tells more")


def _require_size(path: Path, manifest: Manifest) -> None:
    size = path.stat().st_size
    if size != manifest.bytes:
        raise DataError(
            f"{path}: has {size:,} bytes and its manifest says {manifest.bytes:,}; nothing is removed. "
            "`ssmd verify` tells more"
        )


def _pieces(file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        progress(len(piece))
        yield piece


def _unpacked(file: BinaryIO, path: Path, progress: Progress) -> Iterator[bytes]:
    """By the reader that everything else uses: what it cannot read must not be all that stays."""
    for piece in unpacked(file, path):
        progress(len(piece))
        yield piece


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with open(path, "rb", buffering=0) as file:
            yield file
    except OSError as error:
        if error.filename is None:
            raise
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _take_after(source: int, target: int) -> None:
    """Give a new file the times and rights of the old one, and its owner if we may."""
    status = os.fstat(source)
    os.fchmod(target, status.st_mode & 0o777)
    with contextlib.suppress(PermissionError):
        os.fchown(target, status.st_uid, status.st_gid)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove(path: Path) -> None:
    path.unlink()
    sync_directory(path.parent)


def _drop(new: Path) -> None:
    with contextlib.suppress(OSError):
        new.unlink()
