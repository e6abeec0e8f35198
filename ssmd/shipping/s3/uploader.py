"""What the uploaders have in common: attempts, and problems of one day, which do not stop the others."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ssmd.bucket.client import Bucket
from ssmd.bucket.objects import ObjectDiffers
from ssmd.contracts.sink import Position
from ssmd.errors import DataError, SsmdError
from ssmd.proof.packer import Packer
from ssmd.shipping.attempts import Attempts, shown
from ssmd.shipping.plan import PAUSE_SECONDS, RelayState
from ssmd.shipping.s3.parts import Part

__all__ = ["Plan", "Uploader"]

LOOK_SECONDS = 1.0
"""How often it is looked whether there is something to upload."""

AGAIN_SECONDS = 3600.0
"""After how long a day with which something is wrong is tried again, although its files here are the same."""

_log = logging.getLogger("ssmd.ship")


class Plan(NamedTuple):
    """What all uploaders of a process work with."""

    storage: Path
    open_bucket: Callable[[], Bucket]
    packer: Packer
    """Makes the objects of a sealed day's data."""
    live_seconds: float
    once: bool = False
    """End when all is uploaded that is there, and with the first failure."""
    pause_seconds: tuple[float, float] = PAUSE_SECONDS
    again_seconds: float = AGAIN_SECONDS
    clock: Callable[[], int] = time.time_ns


class _Problem(NamedTuple):
    """What is wrong with a day."""

    signature: object
    """The state of its files when that was found."""
    error: SsmdError
    again: float
    """When it is tried again, by time.monotonic()."""


class Uploader(ABC):
    """Runs in a thread of its own. A subclass says what is done; all but the constructor is for that thread.

    `lock`: held while segments of a day are put, and while those of a complete day are removed.
    """

    def __init__(
        self, plan: Plan, part: Part, stopped: threading.Event, lock: threading.Lock, state: RelayState
    ) -> None:
        self.state = state
        self._plan = plan
        self._part = part
        self._stem = part.stem
        self._stopped = stopped
        self._lock = lock
        self._attempts = Attempts(self.state, stopped, once=plan.once, pause_seconds=plan.pause_seconds)
        self._problems: dict[str, _Problem] = {}
        """By day, what is wrong with it."""

    def run(self) -> None:
        """Upload until it is stopped, or with `once` until all is there.

        Raises EngineAuthError, EngineMismatch and ConfigError, and with `once` the first error.
        """
        try:
            self._attempts.run(self._connect_and_upload, lambda: None, self._measured)
        finally:
            self.state.up = False
            self._end()

    def _connect_and_upload(self) -> None:
        with contextlib.closing(self._plan.open_bucket()) as bucket:
            next(bucket.list("/"), None)  # Nothing begins with that: only whether the bucket answers.
            self._begin()
            while not self._stopped.is_set():
                self._round(bucket)
                self._measured()
                self._note_up()
                if self._plan.once:
                    self._raise_problem()
                    return
                self._stopped.wait(LOOK_SECONDS)
            self._last(bucket)

    def measure(self) -> None:
        """Do nothing: an uploader notes its lag itself. In between, that only becomes older."""
        return

    def _note_up(self) -> None:
        if not self.state.up:
            _log.info("connected to the bucket", extra={"stem": self._stem, "part": self._part.part})
        self.state.up = True
        self.state.error = next((shown(found.error) for found in self._problems.values()), None)

    def _try(self, day: str, signature: object, work: Callable[[], None]) -> None:
        """Do the work on a day. Where something is wrong with this day alone, that is noted, and the others go on.

        It is tried again when its files are in another state than `signature`, and after an hour: what is wrong may be
        in the bucket.
        """
        known = self._problems.pop(day, None)
        if known is not None and known.signature == signature and time.monotonic() < known.again:
            self._problems[day] = known
            return
        try:
            work()
        except (DataError, ObjectDiffers) as error:
            self._problems[day] = _Problem(signature, error, time.monotonic() + self._plan.again_seconds)
            self.state.failures += 1
            _log.error("day cannot be uploaded", extra={"day": day, "stem": self._stem, "reason": str(error)})

    def _raise_problem(self) -> None:
        """Raise what is wrong with a day, if anything is: with `once` nothing is tried again."""
        for found in self._problems.values():
            raise found.error

    def _acknowledged(self, lines: int, position: Position, last: str | None) -> None:
        """Note that the bucket has more lines."""
        self._attempts.succeeded()
        self.state.messages += lines
        self.state.position = position
        self.state.last = last or self.state.last

    def _measured(self) -> None:
        self._measure()
        self.state.measured = time.monotonic()

    @abstractmethod
    def _round(self, bucket: Bucket) -> None:
        """Upload what is there now."""

    @abstractmethod
    def _measure(self) -> None:
        """Note the lag in the state."""

    @abstractmethod
    def _begin(self) -> None:
        """Forget what was known of the bucket: it may have changed."""

    @abstractmethod
    def _last(self, bucket: Bucket) -> None:
        """Upload what has to be there at the end."""

    @abstractmethod
    def _end(self) -> None:
        """Close what is open."""
