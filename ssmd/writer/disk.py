"""What the file writer asks of the disk: durable, and with every failure as one clear sentence. All of it may block."""

from __future__ import annotations

import errno
import fcntl
import os
import posix
from collections.abc import Sequence
from pathlib import Path

from ssmd.errors import WriteError

__all__ = ["locked", "make_directory", "reason", "sync_directory", "sync_file", "write_all"]

_MOST_PIECES = os.sysconf("SC_IOV_MAX")


def locked(fd: int, path: Path) -> bool:
    """Lock an open file, until it is closed. False when somebody else holds it, or it has lost its name, `path`.

    Until it is locked, compaction may remove it. Never waits. Raises OSError.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def write_all(fd: int, pieces: Sequence[bytes], location: str) -> None:
    """Write them all, in order, however many calls that takes. Raises WriteError."""
    rest = [memoryview(piece) for piece in pieces]
    try:
        while rest:
            written = os.writev(fd, rest[:_MOST_PIECES])
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = rest[0][written:]
    except OSError as error:
        raise WriteError(f"{location}: {reason(error)}") from None


def sync_file(fd: int, location: str) -> int:
    """Sync the file; return the bytes free on its file system. Raises WriteError.

    Never tried again after a failure: the kernel may have dropped the pages that it could not write and
    would report success (https://wiki.postgresql.org/wiki/Fsync_Errors).
    """
    try:
        os.fdatasync(fd)
        links = os.fstat(fd).st_nlink
        free = os.fstatvfs(fd)
    except OSError as error:
        raise WriteError(f"{location}: sync failed: {reason(error)}") from None
    if not links:
        raise WriteError(f"{location}: somebody has removed the file; what is written to it is lost")
    return free.f_bavail * free.f_frsize


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
        posix.close(fd)  # gevent's os.close() leaves a directory open until its loop runs again.


def reason(error: OSError) -> str:
    """What has failed, and for a full disk what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free some, then start again: the next start repairs the end of the file"
    return error.strerror or str(error)
