"""How the parts of a run end: what a greenlet's end means, and which of several errors counts."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from ssmd.errors import SsmdError, WriteError

__all__ = ["error_of", "gravity", "outcome"]


def gravity(error: BaseException) -> int:
    """A failed write comes first, for it may be what made the exchange hang up; then bugs; then what came first."""
    return 2 if isinstance(error, WriteError) else 0 if isinstance(error, SsmdError) else 1


def outcome(work: Callable[[], None]) -> SsmdError | None:
    """Expected failures travel as values: for any other, gevent prints a traceback when a greenlet ends."""
    try:
        work()
    except SsmdError as error:
        return error
    return None


def error_of(greenlet: gevent.Greenlet) -> BaseException | None:
    """Why a part has ended; None when it was allowed to."""
    if greenlet.exception is not None:
        error: BaseException = greenlet.exception
        return error
    return greenlet.value if isinstance(greenlet.value, SsmdError) else None
