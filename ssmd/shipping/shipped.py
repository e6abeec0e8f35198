"""What a relay keeps beside the data: a lock, and up to where it has shipped.

The second is for people, and for one check: where it is there and the engine has nothing, the engine has lost its copy.
A relay never goes on there, because the engine alone says where its copy ends. Before anything is shipped, it says
where the copy begins, so that `start: now` is the same place when the relay starts again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import threading
import time
from pathlib import Path

from ssmd.contracts.sink import Position
from ssmd.errors import AlreadyCollected, OutputError
from ssmd.store.layout import relay_path, shipped_path, temporary
from ssmd.store.locks import take_lock_file
from ssmd.store.timestamps import timestamp

__all__ = ["LOCK_SECONDS", "RelayLock", "Shipped"]

LOCK_SECONDS = 5.0
"""How long a relay waits for the lock. The relay of a collector that was killed ends a second after that."""

_TRY_SECONDS = 0.1
_WRITE_SECONDS = 1.0
"""How often the file is written at most."""

_log = logging.getLogger("ssmd.ship")


class RelayLock:
    """The lock that one relay of a feed or shard to an engine holds on this host, until it is closed.

    Raises OutputError when it cannot be used.
    """

    def __init__(self, storage: Path, stem: str, engine: str) -> None:
        self._path = path = relay_path(storage, stem, engine)
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(f"{path}: {_why(error)}") from None

    def take(self, stopped: threading.Event, seconds: float = LOCK_SECONDS) -> bool:
        """Take it; return False when that is `stopped` before. Raises AlreadyCollected when another relay goes on to
        hold it for some seconds, and OutputError.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                holder = take_lock_file(self._fd)
            except OSError as error:
                raise OutputError(f"{self._path}: cannot be locked: {error.strerror}") from None
            if holder is None:
                return True
            if time.monotonic() >= until:
                raise AlreadyCollected(
                    f"{self._path}: process {holder} ships this feed to the same engine already; stop one of the two"
                )
            if stopped.wait(_TRY_SECONDS):
                return False

    def close(self) -> None:
        os.close(self._fd)


def _why(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "there is no such folder; `ssmd run` makes it, so start that first"
    return f"cannot be opened: {error.strerror}; let the user that ssmd runs as write to the folder"


class Shipped:
    """The file that says up to where a relay has shipped."""

    def __init__(self, storage: Path, stem: str, engine: str) -> None:
        self._path = shipped_path(storage, stem, engine)
        self._next = 0.0
        self._newest: tuple[Position, str] | None = None
        self._failed = False

    def read(self) -> str | None:
        """Return where it says that the engine's copy ended, for people; None when nothing was shipped."""
        try:
            position = self._read()
        except OSError as error:
            return None if error.errno == errno.ENOENT else f"a place that cannot be read ({error.strerror})"
        except ValueError:
            return "a place that cannot be read"
        if position is None:
            return None
        return f"{position.place}, after line {position.line:,}"

    def position(self) -> Position | None:
        """Return where it says that the engine's copy ended; None when it does not say that."""
        try:
            return self._read()
        except (OSError, ValueError):
            return None

    def beginning(self, start: str) -> Position | None:
        """Return where the copy begins, as begun() has noted it for this `start`; None when something was shipped, or
        nothing was noted.
        """
        with contextlib.suppress(OSError, ValueError):
            content = self._path.read_bytes()
            if json.loads(content).get("start") == start:
                return Position.decode(content)
        return None

    def _read(self) -> Position | None:
        """Return where the copy ended; None when nothing was shipped. Raises OSError and ValueError."""
        content = self._path.read_bytes()
        position = Position.decode(content)
        return None if "start" in json.loads(content) else position

    def begun(self, position: Position, start: str) -> None:
        """Note where the copy begins, of which nothing is shipped so far, and the `start` that it was found with."""
        self._write({**position._asdict(), "start": start})

    def note(self, position: Position, ts: str) -> None:
        """Take the end of what the engine has acknowledged, and the time of its last line. It is written at most once a
        second, the newest one at flush().
        """
        self._newest = position, ts
        self.flush_in_time()

    def flush_in_time(self) -> None:
        """Write the newest place, if the last one was not written less than a second ago."""
        if time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Write the newest place. That it fails is logged once, and is no reason to stop."""
        if self._newest is None:
            return
        self._next = time.monotonic() + _WRITE_SECONDS
        position, ts = self._newest
        if self._write({**position._asdict(), "last": ts}):
            self._newest = None

    def _write(self, content: dict[str, str | int]) -> bool:
        """Replace the file, and return whether that has succeeded."""
        new = temporary(self._path)
        try:
            new.write_text(f"{json.dumps({**content, 'written': timestamp(time.time_ns())})}\n")
            os.replace(new, self._path)
            self._failed = False
            return True
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink()
            if not self._failed:
                _log.warning("cannot be written", extra={"file": str(self._path), "reason": error.strerror})
            self._failed = True
            return False
