"""Compacts a sealed day to .jsonl.zst, and removes the plain file once the compressed one is proved and durable.

The order of the steps makes a kill or a power failure safe at any time. The compressed file is written under another
name, synced, read back from the disk and compared with the manifest's SHA-256. Then it is renamed and the name is
synced. Only then is the plain file removed. The next run finishes what an interrupted one has left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from ssmd.errors import DataError, WriteError, printable
from ssmd.reading.blocks import decompressed
from ssmd.store.durable import drop_from_cache, open_new, sync_directory
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile, manifest_path, temporary
from ssmd.store.locks import held
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest

__all__ = ["LEVELS", "Compacted", "Left", "candidates", "compact"]

LEVELS = range(1, 20)
"""The levels of zstd. Level 9 makes order books about 25 times smaller, at 100 MB/s of one core; higher levels save a
tenth more."""

_CHUNK = 1024 * 1024

Progress = Callable[[int], None]


class Compacted(NamedTuple):
    """The day is compressed now, or would be without `dry_run`."""

    plain_bytes: int
    packed_bytes: int
    """0 in a dry run."""
    finished: bool
    """An earlier run had already compressed it, and only the plain file had to be removed."""


class Left(NamedTuple):
    """The day was left as it is."""

    why: str
    """The reason, as a phrase without its subject: "is not sealed; ..."."""


def candidates(storage: Path, before: str) -> list[DayFile]:
    """Return the plain files of days before `before` (YYYY-MM-DD), oldest first. Raises UsageError, DataError."""
    return [file for file in data_files([storage]) if file.form == "jsonl" and file.day and file.day < before]


def compact(file: DayFile, *, level: int, dry_run: bool, progress: Progress) -> Compacted | Left:
    """Compress one day. Raises OutputError, WriteError, and DataError for data that does not match its manifest.

    After an error the plain file is still there. `progress` is called with numbers of plain bytes; each byte counts
    twice, when it is compressed and when it is read back. A dry run reads the same data and raises the same DataError.
    """
    if file.path.is_symlink():
        # Removing a link frees no space, and the file that it leads to may belong to somebody else.
        return Left(f"is a link to {printable(os.readlink(file.path))}, and links are not compacted")
    manifest = read_manifest(manifest_path(file.path.parent, file.stem))
    if manifest is None:
        return Left("is not sealed; `ssmd seal` does that")
    packed = file.path.with_name(file.path.name + ".zst")
    with held(file.path) as ours:
        if not ours:
            return Left("is being written, or another ssmd command is working on it")
        _require_size(file.path, manifest)
        if packed.exists():
            return _finish(file.path, packed, manifest, dry_run, progress)
        if dry_run:
            with _reading(file.path) as plain:
                _require(file.path, _pieces(plain, progress), manifest)
            return Compacted(manifest.bytes, 0, finished=False)
        new = temporary(packed)
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
    """Remove the plain file that is still beside a compressed one, once both are proved to match the manifest."""
    with _reading(packed) as file:
        _require(packed, _decompressed(file, packed, progress), manifest)
    with _reading(plain) as file:
        _require(plain, _pieces(file, progress), manifest)
    if not dry_run:
        try:
            _remove(plain)
        except OSError as error:
            raise WriteError(f"{plain}: {error.strerror}") from None
    return Compacted(manifest.bytes, packed.stat().st_size, finished=True)


def _pack(plain: Path, new: Path, manifest: Manifest, level: int, progress: Progress) -> None:
    """Write the compressed file durably, and prove that what the disk returns matches the manifest."""
    with open_new(new) as file:
        with _reading(plain) as source:
            compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
            writer = compressor.stream_writer(file, size=manifest.bytes, closefd=False)
            try:
                _require(plain, _copied(_pieces(source, progress), writer.write), manifest)
                writer.flush(zstandard.FLUSH_FRAME)
            except zstandard.ZstdError as error:
                raise DataError(f"{plain}: {error}") from None
            _copy_status(source.fileno(), file.fileno())
        file.flush()
        os.fsync(file.fileno())
        # Otherwise it would be read back from memory and not from the disk.
        drop_from_cache(file.fileno())
        file.seek(0)
        _require(new, _decompressed(file, new, progress), manifest)


def _copied(pieces: Iterator[bytes], write: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in pieces:
        write(piece)
        yield piece


def _require(path: Path, pieces: Iterator[bytes], manifest: Manifest) -> None:
    """Raise DataError unless the pieces together match the manifest."""
    digest = hashlib.sha256()
    size = 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    if (size, digest.hexdigest()) != (manifest.bytes, manifest.sha256):
        raise DataError(f"{path}: does not match its manifest; nothing is removed. `ssmd verify` reports the details")


def _require_size(path: Path, manifest: Manifest) -> None:
    size = path.stat().st_size
    if size != manifest.bytes:
        raise DataError(
            f"{path}: has {size:,} bytes, but its manifest says {manifest.bytes:,}; nothing is removed. "
            "`ssmd verify` reports the details"
        )


def _pieces(file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    while piece := file.read(_CHUNK):
        progress(len(piece))
        yield piece


def _decompressed(file: BinaryIO, path: Path, progress: Progress) -> Iterator[bytes]:
    """Yield the content as every other reader of ssmd reads it: the only copy left must be readable to all of them."""
    for piece in decompressed(file, path):
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


def _copy_status(source: int, target: int) -> None:
    """Give the new file the times and permissions of the old one, and its owner if that is allowed."""
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
