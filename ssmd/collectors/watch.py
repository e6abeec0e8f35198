"""Asks several collectors again and again, each for itself, so that one that does not answer delays no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gevent

from ssmd.collectors.ask import SECONDS, Address, NoAnswer, ask
from ssmd.collectors.discover import Target, read_bytes, targets_in
from ssmd.collectors.said import Said, read
from ssmd.errors import ConfigError, printable

__all__ = ["PAUSE_SECONDS", "Watch", "Watched"]

PAUSE_SECONDS = 3.0
"""How long after an answer the same collector is asked again, and after which the file is read again."""
_OUTER_SECONDS = SECONDS + 1
"""An answer may take no longer, with the name service included."""

_log = logging.getLogger("ssmd.dashboard")


@dataclass
class Watched:
    """What is known of one collector."""

    address: Address
    labels: Mapping[str, str]
    said: Said | None = None
    """Its last answer, None before the first one."""
    answered: float | None = None
    """When that came, by time.monotonic()."""
    reason: str | None = None
    """Why it does not answer now; None when it does, or has not been asked to the end yet."""
    since_ns: int | None = None
    """Since when it does not, ns since the epoch."""
    asking: gevent.Greenlet | None = field(default=None, repr=False)


class Watch:
    """The collectors. `targets`: those that were named; `discover`: the file that names more, None for none.

    Raises ConfigError when that file cannot be read at the start. Later it is logged, and the collectors stay.
    """

    def __init__(
        self, targets: Sequence[Target], discover: Path | None = None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._named = list(targets)
        self._discover = discover
        self._clock = clock
        self._watched: dict[Address, Watched] = {}
        self.problem: str | None = None
        """What is wrong with the file now."""
        self._read = b""
        self._take([])
        if discover is not None:
            self._look(discover)
        self._reading: gevent.Greenlet | None = None

    @property
    def collectors(self) -> Sequence[Watched]:
        """The collectors, in the order in which they were named."""
        return list(self._watched.values())

    def start(self) -> None:
        for one in self._watched.values():
            self._ask_again_and_again(one)
        if self._discover is not None:
            self._reading = gevent.spawn(self._read_again_and_again, self._discover)

    def stop(self) -> None:
        running = [one.asking for one in self._watched.values()]
        gevent.killall([each for each in (*running, self._reading) if each is not None])

    def _take(self, found: Sequence[Target]) -> None:
        """Watch these collectors beside those that were named, and no others."""
        before, self._watched = self._watched, {}
        for address, labels in (*self._named, *found):
            known = before.pop(address, None) or Watched(address, labels)
            known.labels = labels
            self._watched.setdefault(address, known)
        for gone in before.values():
            if gone.asking is not None:
                gone.asking.kill(block=False)

    def _look(self, path: Path) -> None:
        """Read the file, and take what has changed. Raises ConfigError."""
        data = read_bytes(path)
        if data != self._read:
            self._take(targets_in(data, path))
            self._read = data

    def _read_again_and_again(self, path: Path) -> None:
        while True:
            gevent.sleep(PAUSE_SECONDS)
            try:
                self._look(path)
            except ConfigError as error:
                if self.problem is None:
                    _log.warning(str(error))
                self.problem = str(error)
                continue
            self.problem = None
            for one in self._watched.values():
                if one.asking is None:
                    self._ask_again_and_again(one)

    def _ask_again_and_again(self, one: Watched) -> None:
        def work() -> None:
            while True:
                self._ask(one)
                gevent.sleep(PAUSE_SECONDS)

        one.asking = gevent.spawn(work)

    def _ask(self, one: Watched) -> None:
        reason = f"no answer within {SECONDS:g} s"
        try:
            with gevent.Timeout(_OUTER_SECONDS, False):
                one.said = read(ask(one.address))
                one.answered = time.monotonic()
                one.reason = one.since_ns = None
                return
        except NoAnswer as error:
            reason = printable(str(error))
        except ValueError:
            reason = "its answer is not that of a collector"
        if one.reason is None:
            one.since_ns = self._clock()
        one.reason = reason
