"""The relays or uploaders of one process, each in a thread of its own, and what ends them all in order."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from ssmd.errors import AuthError, ConfigError, SsmdError, UsageError, printable
from ssmd.runtime.companion_report import StatusLines
from ssmd.shipping.plan import RelayState
from ssmd.shipping.reporting import report_of
from ssmd.shipping.wake import Wake

__all__ = ["AGAIN_SECONDS", "END_SECONDS", "Maker", "Relays", "Ships"]

END_SECONDS = 2.5
"""How long the relays may take to end: less than a companion has, and more than an acknowledgement takes."""

AGAIN_SECONDS = 60.0
"""How long after its end a relay is started again, while others go on."""

_LOOK_SECONDS = 1.0
"""How often new shards are looked for, and the state is reported."""

_USELESS_TO_RESTART = (UsageError.exit_code, AuthError.exit_code, ConfigError.exit_code)
"""Exit codes with which a relay would only fail again."""

_log = logging.getLogger("ssmd.ship")


class Ships(Protocol):
    """What ships a shard: a relay, or an uploader."""

    def run(self) -> None:
        """Ship until it is stopped. Raises errors of ssmd."""

    def measure(self) -> None:
        """Note the lag in the state. For any thread."""


class _Labelled(Hashable, Protocol):
    @property
    def label(self) -> str:
        """Its name within the process; empty for the only one."""


T = TypeVar("T", bound=_Labelled)
"""What is shipped: a shard, say."""


class Maker(Protocol[T]):
    """Says what is to be shipped, and makes what ships it: see RelayMaker."""

    def find(self) -> list[T]: ...

    def is_rest(self, shard: T) -> bool: ...

    def relay(self, shard: T, first: bool, state: RelayState) -> AbstractContextManager[Ships | None]: ...


class _Work(Generic[T]):
    """What is done for one shard."""

    def __init__(self, shard: T, first: bool) -> None:
        self.shard = shard
        self.first = first
        self.state = RelayState()
        self.relay: Ships | None = None
        self.thread: threading.Thread | None = None
        self.error: BaseException | None = None
        self.is_noted = False
        """Whether the error is in the log."""
        self.again = 0.0
        """When it may be started again, by time.monotonic()."""
        self.runs = False

    def start(self, maker: Maker[T], ended: Callable[[], object]) -> None:
        """Ship the shard in a new thread, which calls `ended` at its end."""
        self.runs, self.is_noted = True, False
        name = f"ship {self.shard.label or 'all'}"
        self.thread = threading.Thread(target=self._run, args=(maker, ended), name=name, daemon=True)
        self.thread.start()

    def _run(self, maker: Maker[T], ended: Callable[[], object]) -> None:
        try:
            with maker.relay(self.shard, self.first, self.state) as self.relay:
                if self.relay is not None:
                    self.relay.run()
                    self.state.lag_bytes, self.state.lag_seconds = 0, 0.0
            self.error = self.state.error = None
        except BaseException as error:  # Whatever it is, Relays.run() raises it.
            self.error = error
            self.state.error = self.state.error or printable(str(error))
        is_useless = isinstance(self.error, SsmdError) and self.error.exit_code in _USELESS_TO_RESTART
        self.again = math.inf if is_useless else time.monotonic() + AGAIN_SECONDS
        self.relay, self.runs = None, False
        ended()


class Relays(Generic[T]):
    """The relays of a process.

    `engine`: its name. `stopped` is set when they have to end.
    """

    def __init__(
        self,
        engine: str,
        maker: Maker[T],
        stopped: threading.Event,
        *,
        once: bool = False,
        lines: StatusLines | None = None,
    ) -> None:
        self._engine = engine
        self._maker = maker
        self._stopped = stopped
        self._once = once
        self._lines = lines
        self.wake = Wake()
        self._works: dict[T, _Work[T]] = {}
        self.looked = time.monotonic()
        """When run() has looked at them last, by time.monotonic()."""
        self.reason = ""
        """Why it has ended, when it has not failed."""

    def run(self) -> bool:
        """Ship until a signal comes, or nobody reads the status lines; with `once` until all are done.

        When one relay fails, the others go on; it is started again, unless that is of no use. When none goes on, or an
        error is a bug, that ends it. Returns whether all relays have ended: those that wait for an engine go with the
        process. Raises what the first of them has raised, also after a signal.
        """
        self._report()
        first = True
        try:
            while not self.reason and not self._has_failed():
                if first or not self._once:
                    self._begin(first)
                first = False
                signals = self.wake.wait(_LOOK_SECONDS)
                self._measure()
                self.looked = time.monotonic()
                if signals:
                    self.reason = signals[0]
                elif not self._report():
                    self.reason = "the collector has ended"
                elif self._once and not self._running():
                    self.reason = "all is shipped"
        finally:
            self._stopped.set()
            ended = self._join()
            self._report()
        for work in self._works.values():
            # What is left of another shard is shipped another time.
            may_wait = self._is_rest(work) and not self._once and isinstance(work.error, SsmdError)
            if work.error is not None and not may_wait:
                raise work.error
        return ended

    def _begin(self, first: bool) -> None:
        """Start the relays of new shards, and those again whose time has come."""
        for shard in self._maker.find():
            work = self._works.setdefault(shard, _Work(shard, first))
            if not work.runs and time.monotonic() >= work.again:
                work.start(self._maker, self.wake.now)

    def _running(self) -> list[_Work[T]]:
        return [work for work in self._works.values() if work.runs]

    def _errors(self) -> list[BaseException]:
        return [work.error for work in self._works.values() if work.error is not None and not work.runs]

    def _has_failed(self) -> bool:
        """Return whether an error has to end the process; log those of relays without which the others go on."""
        if not self._errors():
            return False
        if not self._running() or not all(isinstance(error, SsmdError) for error in self._errors()):
            return True
        for work in self._works.values():
            if work.error is not None and not work.runs and not work.is_noted:
                work.is_noted = True
                lasting = work.again == math.inf
                then = "is not started again" if lasting else f"is started again in {AGAIN_SECONDS:.0f} s"
                extra = {"shard": work.shard.label, "reason": str(work.error)}
                _log.error(f"the relay of a shard has failed, and {then}; the others go on", extra=extra)
        return False

    def _measure(self) -> None:
        for work in self._running():
            if (relay := work.relay) is not None:
                relay.measure()

    def _join(self) -> bool:
        until = time.monotonic() + END_SECONDS
        for work in self._running():
            if work.thread is not None:
                work.thread.join(max(0.0, until - time.monotonic()))
        return not self._running()

    def _is_rest(self, work: _Work[T]) -> bool:
        return self._maker.is_rest(work.shard)

    def _report(self) -> bool:
        return self._lines is None or self._lines.write(self.report())

    def report(self) -> dict[str, Any]:
        """Return the state of all relays together. None is unknown."""
        works = list(self._works.values())
        states = [work.state for work in works if not self._is_rest(work)]
        rests = [work.state for work in works if self._is_rest(work) and work.state.position is not None]
        return report_of(self._engine, states, rests)

    def reports(self) -> dict[str, dict[str, Any]]:
        """Return the state of each relay, by the label of its shard."""
        return {shard.label: report_of(self._engine, [work.state]) for shard, work in list(self._works.items())}
