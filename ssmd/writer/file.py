"""The writer for local files: {storage.path}/{UTC date}/{stem}.jsonl, one line a message.

One collector holds a feed's files, or a shard's, by a lock on {storage.path}/.{stem}.lock. Lines are appended whole.
Once a second (`fsync_interval_seconds`) what was written is synced to the disk. Every call on the disk runs in a
thread, so that a slow disk stalls neither the probes nor the end of the run: lines are written by a thread of their
own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from ssmd.contracts.companion import DAY, SEAL, Companion
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.writer import Batch, Reads
from ssmd.errors import DataError, OutputError, WriteError
from ssmd.runtime.status import Status
from ssmd.runtime.threads import off_the_hub
from ssmd.runtime.work_thread import WorkThread
from ssmd.store.durable import explain, make_directory, sync_directory, write_all
from ssmd.store.layout import data_path, ledger_path, manifest_path
from ssmd.store.ledger import SNAPSHOT_REQUESTED
from ssmd.store.line import LineEncoder
from ssmd.store.repair import Repaired
from ssmd.store.timestamps import DAY_NS, day_of_ns
from ssmd.store.torn import set_torn_tail_aside
from ssmd.writer.day import lock_files, open_locked
from ssmd.writer.recovery import before_start, repair_older
from ssmd.writer.run_ledger import RunLedger
from ssmd.writer.storage import LocalStorage
from ssmd.writer.syncer import Syncer

__all__ = ["LARGE_BYTES", "FileWriter"]

LARGE_BYTES = 32 * 1024
"""A write of so much is probably one of many in a flood; others wait behind it."""

_log = logging.getLogger("ssmd.writer")


class FileWriter:
    """Keeps the Writer contract of contracts/writer.py on a local file system.

    `clock`: the wall clock, ns since the epoch; read once, for the date of the first file.
    """

    Config: ClassVar[type[LocalStorage]] = LocalStorage

    def __init__(
        self,
        config: LocalStorage,
        feed: str,
        *,
        shard: Shard = WHOLE,
        status: Status,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        # Absolute, so that every error and log line names a place that can be found from anywhere.
        self._root = self.state_folder = Path(config.path).absolute()
        self._stem = shard.stem(feed)
        seal = (SEAL, str(self._root), "--feed", feed, "--shard", str(shard), "--before", DAY, "--jobs", "1")
        self._seal = Companion(SEAL, seal, daily=True)
        self._status = status
        self._clock = clock
        self._encoder = LineEncoder(feed, lambda payload: status.is_expected(payload))
        status.kinds_not_json = self._encoder.kinds_not_json
        self._ledger = RunLedger(self._stem)
        self._lock_fd = self._fd = -1
        self._day_ends_ns = 0
        self._lines: list[bytes] = []
        self._written = 0
        self._syncer = Syncer(self._sync, config.fsync_interval_seconds, status)
        self._thread: WorkThread | None = None
        self.location = str(self._root)

    def companions(self) -> Sequence[Companion]:
        """Finished days are sealed in a process of its own, so that neither the start nor the hot path waits for it.

        One day after the other: a start may find many, and the cores are for the collectors.
        """
        return [self._seal]

    def open(self) -> None:
        try:
            _report(off_the_hub(self._open))
        except OSError as error:
            raise OutputError(f"{error.filename or self._root}: {_explain_no_folder(error)}") from None
        except DataError as error:
            raise OutputError(str(error)) from None
        self._status.day = Path(self.location).parent.name
        self._status.starts = self._ledger.starts + 1
        self._syncer.sync_now()

    def _open(self) -> list[Repaired]:
        """Do the work of open()."""
        make_directory(self._root)
        self._lock_fd = lock_files(self._root, self._stem)
        now = self._clock()
        repaired = repair_older(self._root, self._stem, self._path(now), now) + self._open_day(now)
        for event, fields in before_start(self._root, self._stem, now):
            self._ledger.add(event, now, fields)
        self._ledger.write()
        return repaired

    def _path(self, ns: int) -> Path:
        return data_path(self._root / day_of_ns(ns), self._stem)

    def _open_day(self, ns: int) -> list[Repaired]:
        """Begin or continue the file of the UTC day of `ns`.

        Raises OSError, DataError, and OutputError for a file of another program, or of a day that is compressed.
        """
        path = self._path(ns)
        path.parent.mkdir(exist_ok=True)
        fd = open_locked(path, ledger_path(path.parent, self._stem))
        try:
            torn = set_torn_tail_aside(path)
            os.fsync(fd)
            ledger_torn = self._ledger.open_day(path, torn, ns)
            manifest_path(path.parent, self._stem).unlink(missing_ok=True)  # It would not be true any longer.
            sync_directory(path.parent)
            sync_directory(self._root)
            self._fd, self._written = fd, self._ledger.offset
        finally:
            if self._fd != fd:
                os.close(fd)
                self._ledger.close()
        self._day_ends_ns = (ns // DAY_NS + 1) * DAY_NS
        self.location = str(path)
        return [Repaired(path, torn, self._ledger.lost), Repaired(ledger_path(path.parent, self._stem), ledger_torn)]

    def encode(self, reads: Reads, payloads: list[bytes], decoded: bool) -> bytes:
        return self._encoder.encode_reads(reads, payloads, decoded)

    def write(self, batch: Batch) -> None:
        if batch.received_ns >= self._day_ends_ns and _begins_file(batch):
            self._rotate(batch.received_ns)
        if batch.messages:
            self._lines.append(batch.data)
        self._ledger.take(batch)

    def _rotate(self, ns: int) -> None:
        """Begin the file of another day. Time never goes back within a run, so it is never an older one."""
        finished = self.location
        self._ledger.rotate(day_of_ns(ns), ns)
        self.flush()
        self._finish_day()
        try:
            _report(off_the_hub(self._open_day, ns))
        except OSError as error:
            raise WriteError(f"{error.filename or self._root}: {explain(error)}") from None
        except DataError as error:
            raise WriteError(str(error)) from None
        self._status.day = day_of_ns(ns)
        self._status.starts = self._ledger.starts
        self._ledger.go_on(Path(finished).parent.name, ns)
        _log.info("rotated", extra={"from": finished, "to": self.location})

    def flush(self) -> None:
        self._status.not_json = self._encoder.kept_as_string
        if self._ledger.pending:
            off_the_hub(self._ledger.write)
            self._syncer.unsynced = True
        self._write_lines()
        if self._ledger.final:
            self._syncer.sync_now()  # They prove what was on the disk, even if the power fails before they are synced.
            off_the_hub(self._ledger.write_final)
            self._syncer.unsynced = True

    def _write_lines(self) -> None:
        pieces, self._lines = self._lines, []
        if not pieces:
            return
        size = sum(map(len, pieces))
        try:
            thread = self._thread = self._thread or WorkThread()
            run = thread.run if size >= LARGE_BYTES else thread.run_unhurried
            run(write_all, self._fd, pieces, self.location)
        except OSError as error:  # No thread is to be had.
            raise WriteError(f"{self.location}: {explain(error)}") from None
        except WriteError:
            self._ledger.final.clear()  # They would count lines that are not there.
            raise
        self._syncer.unsynced = True
        self._written += size
        self._status.written_bytes += size
        self._status.last_write = time.time()

    def sync(self) -> float | None:
        return self._syncer.sync()

    def _sync(self) -> int:
        """Do the work of a sync, in a thread. Whatever is written meanwhile, the file has no fewer bytes than now."""
        return self._ledger.sync_with(self._fd, self.location, self._written)

    def _finish_day(self) -> None:
        """Make the open file durable and close it."""
        try:
            self._syncer.sync_now()
        finally:
            fd, self._fd = self._fd, -1
            try:
                off_the_hub(os.close, fd)
                off_the_hub(self._ledger.close)
            except OSError as error:
                raise WriteError(f"{self.location}: {explain(error)}") from None

    def close(self) -> None:
        try:
            if self._fd >= 0:
                try:
                    self.flush()
                finally:
                    self._finish_day()
        finally:
            if self._thread is not None:
                self._thread.close()
                self._thread = None
            if self._lock_fd >= 0:
                fd, self._lock_fd = self._lock_fd, -1
                with contextlib.suppress(OSError):  # Nothing was written to it that could be lost.
                    os.close(fd)


def _begins_file(batch: Batch) -> bool:
    """Return whether a batch of a new day begins that day's file: one with messages, or one that says that the order
    books of that day are asked for. Other notes do not, so that days without a message leave no files.
    """
    return batch.messages > 0 or any(note.event == SNAPSHOT_REQUESTED for note in batch.notes)


def _explain_no_folder(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "is in the way: it is not a folder; move it away, or set another storage.path"
    return explain(error)


def _report(repaired: list[Repaired]) -> None:
    for file, torn, lost in repaired:
        if torn:
            _log.warning("torn tail set aside", extra={"file": f"{file}.torn", "bytes": torn})
        if lost:
            _log.error("lines that the ledger counts are gone", extra={"file": str(file), **lost})
