"""Work for gevent's threadpool: calls on the disk, and work on large messages, which must not stop everything else."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

import gevent

from ssmd.errors import SsmdError

__all__ = ["LARGE_BYTES", "Pending", "no_further_thread", "off_the_hub"]

LARGE_BYTES = 1024 * 1024
"""Messages of more bytes than this are worked on in a thread. 16 MiB of brackets take half a second, in which no probe
would be answered."""

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Generic[T]):
    """A task running in the threadpool; waiting for it is optional. One that never ends goes with the process."""

    def __init__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """Raises OSError when the system starts no further thread."""
        try:
            self._task = gevent.get_hub().threadpool.spawn(_outcome, work, *args, **kwargs)
        except RuntimeError:
            raise no_further_thread() from None

    def done(self) -> bool:
        return bool(self._task.ready())

    def result(self, seconds: float | None = None) -> T:
        """Block this greenlet until the task is done; return what it returns, or raise what it raises.

        Raises TimeoutError when it is not done within `seconds`.
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
    """Run `work` in gevent's threadpool and wait for it; return what it returns, or raise what it raises.

    That costs some 60 us of CPU, ten times as much as a write made in place. But a write that blocks in place stops
    everything: no probe is answered, and no signal is handled.
    """
    return Pending(work, *args, **kwargs).result()


def no_further_thread() -> OSError:
    """Return the error for a thread that the system does not start, for which Python has only a RuntimeError."""
    reason = "the system starts no further thread for this user; raise its limit, which `ulimit -u` shows"
    return OSError(errno.EAGAIN, reason)


def _outcome(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | OSError | SsmdError:
    """Return what work returns or, as a value, what it raises: gevent prints the traceback of a thread's exception."""
    try:
        return work(*args, **kwargs)
    except (OSError, SsmdError) as error:
        return error
