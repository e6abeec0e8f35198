"""Durable writes: what has to survive a power failure, and every failure as one clear sentence. All of it may block."""

from __future__ import annotations

import contextlib
import errno
import os
import posix
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ssmd.errors import OutputError, WriteError
from ssmd.store.layout import temporary

__all__ = [
    "drop_from_cache",
    "explain",
    "make_directory",
    "open_new",
    "reason_of",
    "remove",
    "require_whole",
    "sync_data",
    "sync_directory",
    "sync_file",
    "sync_tree",
    "write_all",
    "write_durably",
    "write_pieces",
]

_MOST_PIECES = os.sysconf("SC_IOV_MAX")


def write_all(fd: int, pieces: Sequence[bytes], location: str) -> None:
    """Write all pieces, in order, like write_pieces(). Raises WriteError, which names `location`."""
    try:
        write_pieces(fd, pieces)
    except OSError as error:
        raise WriteError(f"{location}: {explain(error)}") from None


def write_pieces(fd: int, pieces: Sequence[bytes]) -> None:
    """Write all pieces, in order, with as many calls as that takes. Raises OSError."""
    rest = [memoryview(piece) for piece in pieces]
    while rest:
        written = os.writev(fd, rest[:_MOST_PIECES])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = rest[0][written:]


def sync_file(fd: int, path: str, size: int) -> int:
    """Make an open file durable; return the bytes free on its file system.

    Raises WriteError when that fails, and what require_whole() raises.

    Never tried again after a failure: the kernel may have dropped the pages that it could not write, and would report
    success (https://wiki.postgresql.org/wiki/Fsync_Errors).
    """
    try:
        sync_data(fd)
        free = os.fstatvfs(fd)
    except OSError as error:
        raise WriteError(f"{path}: sync failed: {explain(error)}") from None
    require_whole(fd, path, size)
    return free.f_bavail * free.f_frsize


def require_whole(fd: int, path: str, size: int) -> None:
    """Raise WriteError when somebody has removed, moved or cut off an open file: what is written to it would be lost,
    or in no day of the storage.

    `path`: its name. `size`: the bytes that it must have at least.
    """
    try:
        opened = os.fstat(fd)
        is_named = _is_named(opened, path)
    except OSError as error:
        raise WriteError(f"{path}: sync failed: {explain(error)}") from None
    if not opened.st_nlink:
        raise WriteError(f"{path}: somebody has removed the file; what is written to it is lost")
    if not is_named:
        raise WriteError(f"{path}: somebody has moved or replaced the file; what is written is no longer in it")
    if opened.st_size < size:
        raise WriteError(
            f"{path}: somebody has cut the file off: it has {opened.st_size:,} bytes, and {size:,} were written; "
            "nothing but ssmd may change it"
        )


def _is_named(opened: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(opened, os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def sync_data(fd: int) -> None:
    """Make what was written to an open file durable, and its size. Raises OSError."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:  # macOS has none.
        os.fsync(fd)


def write_durably(path: Path, data: bytes) -> None:
    """Write a whole file, so that after a failure at any moment there is either the old one or the new one.

    It is written under another name, synced and renamed, and the name is synced. If that fails, as on a full disk, what
    was written is removed. Raises OutputError, WriteError.
    """
    new = temporary(path)
    file = open_new(new)
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise WriteError(f"{path}: {error.strerror}") from None


def open_new(path: Path) -> BinaryIO:
    """Create a file, and open it for reading and writing. It replaces one of the same name. Raises OutputError."""
    try:
        path.unlink(missing_ok=True)  # A run that was killed may have left it, and it may belong to another user.
        return open(path, "x+b", opener=lambda name, flags: os.open(name, flags, 0o644))
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from None


def make_directory(path: Path) -> None:
    """Make a directory with all its parents, their names durable. Raises OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_directory(folder.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        posix.close(fd)  # gevent's os.close() leaves a directory open until its event loop runs again.


def sync_tree(path: Path) -> None:
    """Make a file, or a folder and all that is in it, durable, and let the next reads come from the disk.

    Raises OSError.
    """
    for inside in path.iterdir() if path.is_dir() else ():
        sync_tree(inside)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
        drop_from_cache(fd)
    finally:
        posix.close(fd)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing need be there. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drop_from_cache(fd: int) -> None:
    """Let the next read of a synced file come from the disk and not from memory, where the system can do that."""
    if hasattr(os, "posix_fadvise"):  # macOS has none.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def explain(error: OSError) -> str:
    """Return what has failed, and for a full disk what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free some, then start again: the next start repairs the end of the file"
    return error.strerror or str(error)


def reason_of(error: OSError) -> str:
    """Return what has failed in the system's own words. Libraries put a sentence of theirs around them."""
    return os.strerror(error.errno) if error.errno else str(error)
