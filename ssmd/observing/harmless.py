"""An observer whose faults do not end the run: the messages are recorded whatever happens to those who look at them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import gevent

from ssmd.contracts.observer import Observer
from ssmd.contracts.writer import Note, Reads

__all__ = ["Harmless"]

_log = logging.getLogger("ssmd.observer")


class Harmless:
    """Keeps the contract of contracts/observer.py, and hands everything on to another observer until that has raised
    something, which it should never do. Then it is logged once, and asked no more.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer: Observer | None = observer

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        if (observer := self._observer) is not None:
            self._try(lambda: observer.observe(reads, payloads))

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        found: list[Note] = []
        if (observer := self._observer) is not None:
            self._try(lambda: found.extend(observer.notes(now_ns, end=end)))
        return found

    def _try(self, ask: Callable[[], object]) -> None:
        try:
            ask()
        except (gevent.GreenletExit, gevent.Timeout, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # A panic of a library in Rust is no Exception.
            _log.error(
                "what looks at the messages has failed, and is off until a restart; the recording goes on. "
                "This is a bug in ssmd; please report it",
                exc_info=True,
                extra={"observer": type(self._observer).__name__},
            )
            self._observer = None
