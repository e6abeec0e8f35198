"""How the runs of a feed, or of a shard, ended, kept from run to run in a small file beside the data.

A run that ends with an error is gone before anybody scrapes its last count. So the next run begins with that count, and
a scrape sees the counter of errors rise.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from ssmd.errors import AlreadyCollected, SsmdError
from ssmd.runtime.metrics import BUG
from ssmd.runtime.threads import Pending
from ssmd.store.inventory import day_folders
from ssmd.store.layout import data_path, errors_path
from ssmd.store.locks import is_locked

__all__ = ["ErrorCounts"]

DISK_SECONDS = 1.0
"""How long to wait for the disk: nothing here is worth delaying the start of a run or its end."""

FILE_BYTES = 512
"""The length of the file. It never changes, so that even a full disk accepts a new count in place of the old one."""

_log = logging.getLogger("ssmd.runner")


class _Counter(Protocol):
    def inc(self, amount: float = 1) -> None: ...


class ErrorCounts:
    """Counts errors by type.

    `folder`: where the data is; it need not exist, and None counts nothing. `stem`: how the names of the files begin.
    `counters`: the metrics, by type. What the disk refuses, or is too slow for, is logged and left undone.

    A run that is refused because another collector writes the same files is not counted: these are the counts of the
    other one.
    """

    def __init__(self, folder: Path | None, stem: str, counters: Mapping[str, _Counter]) -> None:
        self._folder = folder or Path()
        self._path = errors_path(self._folder, stem)
        self._stem = stem
        self._counters = counters
        self._counts = folder is not None
        self.earlier: Mapping[str, int] | None = None
        """How often earlier runs have ended with an error, by type; None when that is not known."""

    def load(self) -> None:
        """Add the counts of earlier runs to the counters; called once, before the run."""
        self.earlier = self._within_a_second(self._read_or_begin)
        for label, count in (self.earlier or {}).items():
            self._counters[label].inc(count)

    def __enter__(self) -> None:
        """Begin a block; the error that ends it, if one does, is counted."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SsmdError) and not isinstance(error, AlreadyCollected):
            self.add(error.label)
        elif isinstance(error, Exception) and not isinstance(error, SsmdError):
            self.add(BUG)

    def add(self, label: str) -> None:
        """Count that a run has ended with an error of this type; a type that has no counter is a bug."""
        self._within_a_second(self._count, label if label in self._counters else BUG)

    def _read_or_begin(self) -> dict[str, int]:
        counts = self._read()
        # The first run has no folder yet, and a full disk then leaves an empty file.
        if self._folder.exists():
            self._counts = not self._another_collects()
            if not self._path.exists() or self._path.stat().st_size < FILE_BYTES:
                self._write(counts)  # While there is room.
        return counts

    def _another_collects(self) -> bool:
        """Return whether a process holds the newest file, as a collector does all the time."""
        files = [path for day in day_folders(self._folder) if (path := data_path(day, self._stem)).exists()]
        return bool(files) and is_locked(files[-1])

    def _count(self, label: str) -> dict[str, int]:
        counts = self._read()
        counts[label] = counts.get(label, 0) + 1
        self._write(counts)
        return counts

    def _read(self) -> dict[str, int]:
        """Return the counts of the known types; none when the file is missing or damaged."""
        try:
            found = json.loads(self._path.read_bytes()[:FILE_BYTES])
        except (FileNotFoundError, ValueError):
            return {}
        known = found.items() if isinstance(found, dict) else ()
        return {label: n for label, n in known if label in self._counters and type(n) is int and 0 <= n < 2**53}

    def _write(self, counts: Mapping[str, int]) -> None:
        data = json.dumps(counts).encode().ljust(FILE_BYTES - 1) + b"\n"
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(fd, data, 0)
        finally:
            os.close(fd)

    def _within_a_second(self, work: Callable[..., dict[str, int]], *args: str) -> dict[str, int] | None:
        """Return what the work returns; None when it fails or takes too long, and when nothing is counted."""
        if not self._counts:
            return None
        try:
            return Pending(work, *args).result(DISK_SECONDS)
        except OSError as error:
            _log.debug("errors not counted", extra={"file": str(self._path), "reason": str(error)})
            return None
