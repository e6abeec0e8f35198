"""How the greenlets of a run end: what an end means, and which of several errors counts."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from ssmd.errors import SsmdError, WriteError

__all__ = ["error_of", "gravity", "outcome"]


def gravity(error: BaseException) -> int:
    """Return the rank of an error; the highest counts.

    A failed write comes first, since it may be what made the exchange disconnect; then bugs; then anything else.
    """
    return 2 if isinstance(error, WriteError) else 0 if isinstance(error, SsmdError) else 1


def outcome(work: Callable[[], object]) -> object:
    """Return what `work` returns or, as a value, the SsmdError that it raises.

    gevent prints a traceback for every exception that ends a greenlet, also for an expected one.
    """
    try:
        return work()
    except SsmdError as error:
        return error


def error_of(greenlet: gevent.Greenlet) -> BaseException | None:
    """Return why a greenlet ended; None when that was in order."""
    if greenlet.exception is not None:
        error: BaseException = greenlet.exception
        return error
    return greenlet.value if isinstance(greenlet.value, SsmdError) else None
