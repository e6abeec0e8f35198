"""The small file that says which drifts were reported on a day, so that a restart does not report them again."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec

from ssmd.errors import SsmdError
from ssmd.runtime.drift import FoundDrift
from ssmd.runtime.threads import Pending
from ssmd.store.durable import write_durably

__all__ = ["Reported"]

DISK_SECONDS = 1.0
"""How long a start, or an end, waits for the disk."""

_log = logging.getLogger("ssmd.drift")


class _File(msgspec.Struct):
    day: str
    found: list[FoundDrift]


_decode = msgspec.json.Decoder(_File).decode
_encode = msgspec.json.Encoder().encode


class Reported:
    """Reads and writes the file at `path`. What the disk refuses, or is too slow for, is logged and left undone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing: Pending[None] | None = None

    def load(self, day: str) -> list[FoundDrift]:
        """Return what was reported on a day, YYYY-MM-DD."""
        try:
            kept = _decode(Pending(self._path.read_bytes).result(DISK_SECONDS))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            _log.debug("drifts that were reported not read", extra={"file": str(self._path), "reason": str(error)})
            return []
        return kept.found if kept.day == day else []

    def keep(self, day: str, found: list[FoundDrift]) -> bool:
        """Write the file in a thread; return False while the last one is still being written. Call it then again."""
        if self._writing is not None and not self._writing.done():
            return False
        data = _encode(_File(day, found))
        try:
            self._writing = Pending(self._write, data)
        except OSError as error:
            _log.debug("drifts that were reported not kept", extra={"file": str(self._path), "reason": str(error)})
        return True

    def finish(self) -> None:
        """Wait for what is being written, but not for long."""
        if self._writing is not None:
            with contextlib.suppress(OSError):
                self._writing.result(DISK_SECONDS)

    def _write(self, data: bytes) -> None:
        try:
            write_durably(self._path, data)
        except SsmdError as error:
            _log.debug("drifts that were reported not kept", extra={"file": str(self._path), "reason": str(error)})
