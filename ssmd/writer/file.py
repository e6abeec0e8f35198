"""The writer for local files: {storage.path}/{UTC date}/{feed}.jsonl, one line a message.

One collector holds a feed's files, by a lock on {storage.path}/.{feed}.lock. Lines are appended whole.
Once a second (`fsync_interval_seconds`) what was written is synced to the disk in gevent's threadpool,
so that a slow sync stalls nobody.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import gevent
from gevent.event import AsyncResult

from ssmd.envelope import LineEncoder
from ssmd.errors import OutputError, WriteError
from ssmd.metadata.model import Storage
from ssmd.metrics import Metrics
from ssmd.runtime.interfaces import Batch
from ssmd.runtime.status import Status
from ssmd.writer.torn import set_torn_tail_aside, sync_directory

__all__ = ["FileWriter"]

SLOW_WRITE_SECONDS = 0.02
"""A write that takes longer shows that the disk, and not the page cache, is answering."""

CAREFUL_WRITES = 100
"""After a slow write, and at the start, so many go through the threadpool until the disk is trusted again.

A write handed to the threadpool costs some 60 us of CPU whatever its size, one made here a few; but one
made here that blocks stalls the probes with it.
"""

_log = logging.getLogger("ssmd.writer")

P = ParamSpec("P")
T = TypeVar("T")


class FileWriter:
    """Keeps the Writer contract of runtime/interfaces.py on a local file system.

    `storage`: its `path`, relative to the working directory, and its `fsync_interval_seconds`.
    `clock`: the wall clock in ns, asked once, for the date of the first file.
    """

    def __init__(
        self,
        storage: Storage,
        feed: str,
        *,
        status: Status,
        metrics: Metrics,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._root = Path(storage.path or ".")
        self._feed = feed
        self._sync_seconds = storage.fsync_interval_seconds
        self._status = status
        self._metrics = metrics
        self._clock = clock
        self._encoder = LineEncoder(feed)
        self._lock_fd = self._fd = -1
        self._day_ends_ns = 0
        self._lines: list[bytes] = []
        self._careful_writes = CAREFUL_WRITES
        self._unsynced = False
        self._synced_at = 0.0
        self._syncing: AsyncResult | None = None
        self.location = str(self._root)

    def open(self) -> None:
        try:
            torn, file = _off_the_hub(self._open)
        except OSError as error:
            raise OutputError(f"{error.filename or self._root}: {_reason(error)}") from None
        if torn:
            _log.warning("torn tail set aside", extra={"file": f"{file}.torn", "bytes": torn})

    def _open(self) -> tuple[int, Path | None]:
        """Do the work of open(); return how many torn bytes were set aside, and of which file."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._lock()
        # Only the newest file can end in the middle of a line: each start repairs what the last run has left.
        files = sorted(self._root.glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/{self._feed}.jsonl"))
        newest = files[-1] if files else None
        torn = set_torn_tail_aside(newest) if newest else 0
        self._open_day(self._clock())
        return torn, newest

    def _lock(self) -> None:
        path = self._root / f".{self._feed}.lock"
        self._lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock_fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise OutputError(
                f"{path}: another collector (process {holder}) is writing the files of feed {self._feed} here; "
                "stop it, or give this one another storage.path"
            ) from None
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, b"%d\n" % os.getpid(), 0)

    def _open_day(self, ns: int) -> None:
        """Begin or continue the file of the UTC day that `ns` lies in. Raises OSError."""
        day = datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        path = self._root / f"{day:%Y-%m-%d}" / f"{self._feed}.jsonl"
        path.parent.mkdir(exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.fsync(self._fd)
        sync_directory(path.parent)
        sync_directory(self._root)
        self._day_ends_ns = int((day + timedelta(days=1)).timestamp()) * 1_000_000_000
        self.location = str(path)

    def write(self, batch: Batch) -> None:
        if batch.received_ns >= self._day_ends_ns:
            self._rotate(batch.received_ns)
        before = self._encoder.kept_as_string
        self._lines.append(self._encoder.encode(batch.received_ns, batch.payloads, batch.decoded))
        if self._encoder.kept_as_string != before:
            self._metrics.not_json.inc(self._encoder.kept_as_string - before)

    def _rotate(self, ns: int) -> None:
        """Go over to the file of another day. Time never runs back within a run, so never to an older one."""
        self.flush()
        finished = self.location
        self._finish_day()
        try:
            _off_the_hub(self._open_day, ns)
        except OSError as error:
            raise WriteError(f"{error.filename or self._root}: {_reason(error)}") from None
        _log.info("rotated", extra={"from": finished, "to": self.location})

    def flush(self) -> None:
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines = []
        if self._careful_writes:
            seconds = _off_the_hub(_timed_write, self._fd, data, self.location)
            self._careful_writes -= 1
        else:
            seconds = _timed_write(self._fd, data, self.location)
        if seconds > SLOW_WRITE_SECONDS:
            self._careful_writes = CAREFUL_WRITES
        self._unsynced = True
        self._status.written_bytes += len(data)
        self._metrics.written_bytes.inc(len(data))
        self._metrics.last_write.set_to_current_time()

    def sync(self) -> None:
        if self._syncing is not None:
            if not self._syncing.ready():
                return
            self._await_sync()
        now = time.monotonic()
        if self._unsynced and now - self._synced_at >= self._sync_seconds:
            self._synced_at = now
            self._unsynced = False
            self._syncing = gevent.get_hub().threadpool.spawn(_sync, self._fd, self.location)

    def _await_sync(self) -> None:
        """Take the result of the sync under way. A failed one is final, see _sync."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            self._metrics.disk_free.set(syncing.get())
            self._metrics.last_sync.set_to_current_time()

    def _finish_day(self) -> None:
        """Make the open file durable and close it."""
        self._await_sync()
        fd, self._fd = self._fd, -1
        try:
            self._syncing = gevent.get_hub().threadpool.spawn(_sync, fd, self.location)
            self._unsynced = False
            self._await_sync()
        finally:
            try:
                _off_the_hub(os.close, fd)
            except OSError as error:
                raise WriteError(f"{self.location}: {_reason(error)}") from None

    def close(self) -> None:
        try:
            if self._fd >= 0:
                try:
                    self.flush()
                finally:
                    self._finish_day()
        finally:
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1


def _off_the_hub(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in gevent's threadpool: the disk may take its time, and nobody but the caller waits for it."""
    result: T = gevent.get_hub().threadpool.apply(work, args, kwargs)
    return result


def _timed_write(fd: int, data: bytes, location: str) -> float:
    """Write it all, however many pieces that takes; return the seconds it took. Raises WriteError."""
    began = time.monotonic()
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        raise WriteError(f"{location}: {_reason(error)}") from None
    return time.monotonic() - began


def _sync(fd: int, location: str) -> int:
    """Sync the file; return the bytes free on its file system. Raises WriteError.

    Never tried again after a failure: the kernel may have dropped the pages that it could not write and
    would report success (https://wiki.postgresql.org/wiki/Fsync_Errors).
    """
    try:
        os.fdatasync(fd)
        free = os.fstatvfs(fd)
    except OSError as error:
        raise WriteError(f"{location}: sync failed: {_reason(error)}") from None
    return free.f_bavail * free.f_frsize


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free some, then start again: the next start repairs the end of the file"
    return error.strerror or str(error)
