"""Runs what has to be done before anything is opened, in a process of its own and for a bounded time.

Recording comes first: whatever fails there, the run begins. Only when the process says that nothing may be written,
with the exit code of an OutputError, it does not.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import gevent
from gevent.event import Event

from ssmd.errors import OutputError
from ssmd.runtime.status import Status

__all__ = ["PREPARE_SECONDS", "prepare"]

PREPARE_SECONDS = 60.0
"""How long a start waits for it. What the exchange sends meanwhile is not recorded."""

_log = logging.getLogger("ssmd.companions")


class Once(Protocol):
    """A companion that is run once: runtime/companions.py."""

    @property
    def error(self) -> str | None:
        """Why it failed; None when it did not."""

    def run_once(self) -> int | None:
        """Run it to its end; return its exit code, None when it could not be started."""

    def kill(self) -> None: ...


def prepare(companions: Sequence[Once], status: Status, ended: Event) -> None:
    """Run companions to their end, and note in the status why one of them has not done its work.

    `ended`: set when the run ends, which ends this. Raises OutputError.
    """
    for companion in companions:
        reason = _outcome(companion, ended, PREPARE_SECONDS)
        for one in (status, *status.beside):
            one.unprepared = reason


def _outcome(once: Once, ended: Event, seconds: float) -> str:
    """Return why it was not done; empty when it was. Raises OutputError."""
    work = gevent.spawn(once.run_once)
    gevent.wait([work, ended], timeout=seconds, count=1)
    if not work.dead:
        once.kill()
        work.join()
        reason = f"it was not done within {seconds:g} s"
    elif work.value == OutputError.exit_code:
        raise OutputError(once.error or "nothing may be written here")
    elif work.value == 0:
        return ""
    else:
        reason = once.error or "it could not be done"
    if not ended.is_set():
        _log.error("preparing the start has failed; the recording begins all the same", extra={"reason": reason})
    return reason
