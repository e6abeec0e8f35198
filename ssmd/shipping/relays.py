"""The relays of one process, one for each shard, each in a thread of its own; and what ends them all in order."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ssmd.contracts.shard import Shard
from ssmd.shipping.plan import RelayState
from ssmd.shipping.relay import Relay

__all__ = ["END_SECONDS", "Relays", "StatusLines", "Wake"]

END_SECONDS = 2.5
"""How long the relays may take to end: less than a companion has, and more than an acknowledgement takes."""

_LOOK_SECONDS = 1.0
"""How often new shards are looked for, and the state is reported."""


class Wake:
    """Lets the main thread wait for a signal or for another thread. Signal handlers are of no use for that: one that
    interrupts the wait for a lock must not touch this lock.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def on_signals(self, numbers: tuple[signal.Signals, ...]) -> None:
        """Let these signals end wait(). For the main thread."""
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup sets it.
                signal.signal(number, lambda number, _: None)

    def now(self) -> None:
        """Let wait() return. For any thread."""
        with contextlib.suppress(BlockingIOError):  # Full of such bytes: it will return.
            os.write(self._writing, b"\0")

    def wait(self, seconds: float) -> list[str]:
        """Wait so long, or until something happens; return the names of the signals that have come."""
        select.select([self._reading], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            return [signal.Signals(number).name for number in os.read(self._reading, 512) if number]
        return []


class StatusLines:
    """Reports the state as JSON lines on a descriptor, as runtime/companions.py reads them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def write(self, report: Mapping[str, Any]) -> bool:
        """Write a line; return False when nobody reads them any longer. One for which there is no room is left out."""
        try:
            os.write(self._fd, json.dumps(report).encode() + b"\n")
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


class Relays:
    """The relays of a process.

    `engine`: its name. `find`: returns the shards that are to be shipped, again and again. `make`: returns the relay of
    a shard; it raises what its parts raise. The second argument says whether the shard was there at the beginning.
    """

    def __init__(
        self,
        engine: str,
        find: Callable[[], list[Shard]],
        make: Callable[[Shard, bool], Relay],
        stopped: threading.Event,
        *,
        once: bool = False,
        lines: StatusLines | None = None,
    ) -> None:
        self._engine = engine
        self._find = find
        self._make = make
        self._stopped = stopped
        self._once = once
        self._lines = lines
        self.wake = Wake()
        self._relays: dict[Shard, Relay] = {}
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self.reason = ""
        """Why it has ended, when it has not failed."""

    def run(self) -> bool:
        """Ship until a signal comes, nobody reads the status lines, or a relay fails; with `once` until all are done.

        Returns whether all relays have ended. Those that wait for an engine go with the process. Raises what the first
        of them has raised.
        """
        self._report()
        first = True
        try:
            while not self.reason and not self._errors:
                if first or not self._once:
                    self._begin_new(first)
                first = False
                signals = self.wake.wait(_LOOK_SECONDS)
                if signals:
                    self.reason = signals[0]
                elif not self._report():
                    self.reason = "the collector has ended"
                elif self._once and not any(thread.is_alive() for thread in self._threads):
                    self.reason = "all is shipped"
        finally:
            self._stopped.set()
            ended = self._join()
            self._report()
        if self._errors:
            raise self._errors[0]
        return ended

    def _begin_new(self, first: bool) -> None:
        for shard in self._find():
            if shard not in self._relays:
                relay = self._relays[shard] = self._make(shard, first)
                name = f"ship {shard.label or 'all'}"
                thread = threading.Thread(target=self._run, args=(relay,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, relay: Relay) -> None:
        try:
            relay.run()
        except BaseException as error:  # Whatever it is, run() raises it.
            self._errors.append(error)
        finally:
            self.wake.now()

    def _join(self) -> bool:
        until = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _report(self) -> bool:
        return self._lines is None or self._lines.write(self.report())

    def report(self) -> dict[str, Any]:
        """Return the state of all relays together. None is unknown."""
        states = [relay.state for relay in self._relays.values()]
        return {
            "engine": self._engine,
            "up": bool(states) and all(state.up for state in states),
            "messages": sum(state.messages for state in states),
            "failures": sum(state.failures for state in states),
            "lag_bytes": _sum([state.lag_bytes for state in states]),
            "lag_seconds": _most([state.lag_seconds for state in states]),
            "error": next((state.error for state in states if state.error), None),
            "shipped_until": _until(states),
        }


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _most(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _until(states: list[RelayState]) -> dict[str, Any] | None:
    """Return where the engine's copy ends; of several shards, that of the one that is behind the others."""
    if not states or any(state.position is None for state in states):
        return None
    state = min(states, key=lambda state: (state.last or "", state.position or ()))
    position = state.position
    if position is None:
        return None
    return {"day": position.day, "offset": position.offset, "line": position.line, "last": state.last}
