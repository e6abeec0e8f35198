"""Attempts to ship, which go on after failures of the engine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ssmd.errors import EngineAuthError, EngineError, EngineFenced, EngineMismatch, SsmdError, printable
from ssmd.shipping.plan import RelayState

__all__ = ["Attempts", "shown"]

_LONGEST_ERROR = 400
"""Characters: a line of the status is to be written at once."""

_MEASURE_SECONDS = 1.0
"""How often the lag is measured meanwhile."""

_FATAL = (EngineAuthError, EngineFenced, EngineMismatch)
"""With these a further attempt would fail again, or do harm."""

_log = logging.getLogger("ssmd.ship")


class Attempts:
    """Makes attempts until one ends without a failure of the engine, or `stopped` is set.

    `once`: the first failure is raised.
    """

    def __init__(
        self, state: RelayState, stopped: threading.Event, *, once: bool, pause_seconds: tuple[float, float]
    ) -> None:
        self._state = state
        self._stopped = stopped
        self._once = once
        self._first, self._longest = pause_seconds
        self._pause = self._first

    def run(
        self, attempt: Callable[[], None], failed: Callable[[], None], measure: Callable[[], None] = lambda: None
    ) -> None:
        """Make attempts. `failed`: called after each failure. `measure`: called now and then before the next attempt.

        Raises EngineAuthError, EngineFenced, EngineMismatch, with `once` any EngineError, and what else attempt() does.
        """
        while not self._stopped.is_set():
            try:
                attempt()
                return
            except EngineError as error:
                failed()
                is_last = self._once or isinstance(error, _FATAL)
                self.note(error)
                if is_last:
                    raise
                pause = round(self._pause, 1)
                _log.warning("the engine failed", extra={"reason": str(error), "next_attempt_seconds": pause})
                self._wait(measure)

    def succeeded(self) -> None:
        """Take that something was acknowledged: after the next failure the pause is short again."""
        self._pause = self._first

    def note(self, error: EngineError) -> None:
        """Note a failure in the state."""
        self._state.up, self._state.sending = False, None
        self._state.failures += 1
        self._state.error = shown(error)

    def _wait(self, measure: Callable[[], None]) -> None:
        until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, self._longest)
        while (left := until - time.monotonic()) > 0 and not self._stopped.wait(min(left, _MEASURE_SECONDS)):
            measure()


def shown(error: SsmdError) -> str:
    """Return what a status says of an error."""
    return printable(str(error), _LONGEST_ERROR)
