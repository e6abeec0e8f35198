"""Locks on files: one collector writes a feed, and nothing else works on a file meanwhile. None of these waits."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ssmd.errors import DataError

__all__ = ["held", "is_locked", "take_lock_file", "try_lock"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def try_lock(fd: int, path: Path) -> bool:
    """Lock an open file until it is closed. Raises OSError.

    Returns False when another process holds the lock, or when `path` is no longer the name of this file: until it is
    locked, compaction may remove it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def take_lock_file(fd: int) -> str | None:
    """Lock an open lock file until it is closed, and write this process's number into it. Raises OSError.

    Returns None, or the number of the process that holds the lock, as text, when another one does.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
    os.ftruncate(fd, 0)
    try:
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    except OSError as error:
        if error.errno not in _FULL:  # The number is for people, and the lock holds without it.
            raise
    return None


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the lock that a collector holds on its data file, and yield whether it could be taken.

    It cannot be taken when the file is gone: another process has compacted it. Raises DataError when the file cannot
    be opened.
    """
    try:
        fd = _open(path)
    except FileNotFoundError:
        yield False
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        yield try_lock(fd, path)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    """Open for writing if that is allowed: NFS locks no other file. A day in Parquet is a folder, which never is."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR):
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def is_locked(data: Path) -> bool:
    """Return whether a collector holds the lock of a data file or, for a while, `ssmd seal` at work on it.

    Only trying can show it, because /proc/locks leaves out the locks of other containers. A lock that could be taken is
    released at once. It is the data file's lock, for which a collector that starts at this very moment waits, as it
    does for `ssmd seal` (writer/day.py). The lock file in the storage folder, for which none waits, is not tried.
    """
    try:
        fd = os.open(data, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:  # Where locks do not work, no collector can hold one.
        return isinstance(error, BlockingIOError)
    finally:
        os.close(fd)
    return False
