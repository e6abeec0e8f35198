"""How the runs of a feed ended, kept from run to run in a small file beside the data.

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

from ssmd.runtime.threads import Pending

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

    `path`: the file; its folder need not exist. `counters`: the metrics, by type. What the disk refuses, or is too slow
    for, is logged and left undone.
    """

    def __init__(self, path: Path, counters: Mapping[str, _Counter]) -> None:
        self._path = path
        self._counters = counters
        self.earlier: Mapping[str, int] | None = None
        """How often earlier runs have ended with an error, by type; None when that is not known."""

    def load(self) -> None:
        """Add the counts of earlier runs to the counters; called once, before the run."""
        self.earlier = self._within_a_second(self._read_or_begin)
        for label, count in (self.earlier or {}).items():
            self._counters[label].inc(count)

    def add(self, label: str) -> None:
        """Count that a run has ended with an error of this type."""
        self._within_a_second(self._count, label)

    def _read_or_begin(self) -> dict[str, int]:
        counts = self._read()
        # The first run has no folder yet, and a full disk then leaves an empty file.
        if self._path.parent.exists() and (not self._path.exists() or self._path.stat().st_size < FILE_BYTES):
            self._write(counts)  # While there is room.
        return counts

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
        """Return what the work returns; None when it fails or takes too long."""
        try:
            return Pending(work, *args).result(DISK_SECONDS)
        except OSError as error:
            _log.debug("errors not counted", extra={"file": str(self._path), "reason": str(error)})
            return None
