"""Work for gevent's threadpool: what asks the disk must not stop everything else while the disk takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import gevent

from ssmd.errors import SsmdError

__all__ = ["Pending", "off_the_hub"]

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Generic[T]):
    """Work begun: nobody waits for it but who wants to. A thread that the disk holds up ends with the process."""

    def __init__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        self._task = gevent.get_hub().threadpool.spawn(_outcome, work, *args, **kwargs)

    def done(self) -> bool:
        return bool(self._task.ready())

    def result(self, seconds: float | None = None) -> T:
        """Block this greenlet until the work is done; return or raise what it did.

        Raises TimeoutError when it is not done within so many seconds.
        """
        if seconds is not None:
            self._task.wait(timeout=seconds)
            if not self.done():
                raise TimeoutError(f"no answer within {seconds:g} s")
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
