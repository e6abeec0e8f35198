"""What the file writer asks of the disk: off the hub, durable, and with every failure as one clear sentence."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

import gevent

from ssmd.errors import SsmdError, WriteError

__all__ = ["Pending", "make_directory", "off_the_hub", "reason", "sync_directory", "sync_file", "write_all"]

_MOST_PIECES = os.sysconf("SC_IOV_MAX")

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Generic[T]):
    """Work begun in gevent's threadpool: the disk may take its time, and nobody waits for it but who wants to."""

    def __init__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        self._task = gevent.get_hub().threadpool.spawn(_outcome, work, *args, **kwargs)

    def done(self) -> bool:
        return bool(self._task.ready())

    def result(self) -> T:
        """Block this greenlet until the work is done; return or raise what it did."""
        outcome: T | OSError | SsmdError = self._task.get()
        if isinstance(outcome, OSError | SsmdError):
            raise outcome
        return outcome


def off_the_hub(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in gevent's threadpool, and wait for it.

    That costs some 60 us of CPU, ten times what a write made in place does. But one that blocks in place
    stops everything: no probe is answered, no signal heard.
    """
    return Pending(work, *args, **kwargs).result()


def _outcome(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | OSError | SsmdError:
    """What work returns or, as a value too, how it failed: gevent prints a traceback of what a thread raises."""
    try:
        return work(*args, **kwargs)
    except (OSError, SsmdError) as error:
        return error


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
        os.close(fd)


def reason(error: OSError) -> str:
    """What has failed, and for a full disk what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free some, then start again: the next start repairs the end of the file"
    return error.strerror or str(error)
