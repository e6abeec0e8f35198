"""What looks at a run without ending it: the messages are recorded whatever happens to those who look at them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event

from ssmd.contracts.observer import Observer
from ssmd.contracts.service import Service
from ssmd.contracts.writer import Note, Reads
from ssmd.store.ledger import OBSERVER_FAILED
from ssmd.store.timestamps import day_of_ns

__all__ = ["Harmless", "HarmlessService"]

_log = logging.getLogger("ssmd.observer")


class Harmless:
    """Keeps the contract of contracts/observer.py, and hands everything on to another observer until that has raised
    something, which it should never do. Then it is logged once, and asked no more.
    """

    def __init__(self, observer: Observer, begin: Callable[[], object] = lambda: None) -> None:
        """`begin`: does what the observer has to do before the first message."""
        self._observer: Observer | None = observer
        self._failed: str | None = None
        self._missed_ns, self._noted_day = 0, ""
        """When the last message was received that it did not look at, and the day of which that was noted."""
        self._try(begin)

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        if (observer := self._observer) is not None:
            self._try(lambda: observer.observe(reads, payloads))
        if self._failed is not None:
            self._missed_ns = reads[-1][0]

    def notes(self, now_ns: int, *, end: bool) -> Sequence[Note]:
        """Return the notes of the observer; once for each day one that says that it has failed, so that its silence is
        not taken for a finding. Each day has a ledger of its own, which begins with the first message.
        """
        found: list[Note] = []
        if (observer := self._observer) is not None:
            self._try(lambda: found.extend(observer.notes(now_ns, end=end)))
        if self._failed is not None and (day := day_of_ns(self._missed_ns)) != self._noted_day:
            found.append(Note(OBSERVER_FAILED, now_ns, 0, {"observer": self._failed}))
            self._noted_day = day
        return found

    def _try(self, ask: Callable[[], object]) -> None:
        name = type(self._observer).__name__
        if not _is_done(ask, "what looks at the messages has failed, and is off until a restart", name):
            self._failed, self._observer = name, None


class HarmlessService:
    """Keeps the contract of contracts/service.py for a service that only looks at the run. When that fails, or returns,
    it is logged, and the run goes on without it.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stopped = Event()

    def serve(self) -> None:
        name = type(self._service).__name__
        _is_done(self._service.serve, "what measures the run for people has failed, and is off until a restart", name)
        self._stopped.wait()

    def stop(self) -> None:
        self._stopped.set()
        self._service.stop()


def _is_done(work: Callable[[], object], failed: str, name: str) -> bool:
    """Do the work; return False when it has raised something, which is logged as a bug: `failed` says what that means,
    and `name` who it was.
    """
    try:
        work()
    except (gevent.GreenletExit, gevent.Timeout, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # A panic of a library in Rust is no Exception.
        text = f"{failed}; the recording goes on. This is a bug in ssmd; please report it"
        _log.error(text, exc_info=True, extra={"observer": name})
        return False
    return True
