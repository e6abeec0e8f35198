"""Sealing: a finished day is read back from the disk, and what it holds is written into its manifest."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ssmd.archive.examine import Examination, examine
from ssmd.archive.layout import DayFile, data_files, ledger_path, manifest_path, twins
from ssmd.archive.manifest import Manifest, encode_manifest
from ssmd.envelope import timestamp
from ssmd.errors import DataError, OutputError, WriteError
from ssmd.writer.disk import locked, sync_directory
from ssmd.writer.recovery import Repaired, repair

__all__ = ["FRESH_SECONDS", "held", "seal", "unsealed"]

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
        if others := twins(file.path):
            raise DataError(
                f"{file.path}: the day is there in two forms, and so not sealed: {others[0].path.name} lies beside it; "
                "move one away"
            )
        found = examine(file)
        if _is_torn(found):
            _repair(file, now_ns, told)
            found = examine(file)
        manifest = msgspec.structs.replace(found.manifest, sealed=timestamp(now_ns))
        _write(manifest_path(file.path.parent, file.feed), encode_manifest(manifest))
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


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Whether the lock that a collector holds on its data file could be had. It is held meanwhile.

    It could not either when the file is gone: another run of ours has compacted it.
    """
    try:
        fd = _open(path)
    except FileNotFoundError:
        yield False
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        yield locked(fd, path)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    """For writing if that may be: NFS locks nothing else."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _write(path: Path, data: bytes) -> None:
    """Under another name, synced, renamed, and the name synced."""
    new = path.with_name(path.name + ".new")
    try:
        new.unlink(missing_ok=True)  # A run that was killed may have left it, and it may be another user's.
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise OutputError(f"{new}: {error.strerror}") from None
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_directory(path.parent)
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror}") from None
