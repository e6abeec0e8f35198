"""Companions: processes that run beside the collection. Starts, watches, restarts and stops them all.

A companion is an ssmd command in a process of its own. What it prints on stdout is logged, and so is its log. It may
report its state as JSON objects, one a line, on the descriptor that SSMD_STATUS_FD names; the newest value of each key
is kept. That it fails is logged and counted, and never ends the run: what was received is on the disk.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

import gevent
from gevent import subprocess
from gevent.event import Event
from gevent.fileobject import FileObject

from ssmd.contracts.companion import DAY, STATUS_FD, Companion
from ssmd.errors import AuthError, ConfigError, UsageError
from ssmd.runtime.companion_log import CompanionLog
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.companion_variables import variables_of
from ssmd.runtime.preparing import prepare
from ssmd.runtime.process_output import follow
from ssmd.runtime.status import Status

__all__ = ["DELAY_SECONDS", "GRACE_SECONDS", "RETRY_SECONDS", "Companions"]

DELAY_SECONDS = 5.0
"""How long after the start, or after midnight, a daily companion begins: the collector is busy then."""

RETRY_SECONDS = 3600.0
"""How long after a failure a daily companion is started again."""

PAUSE_SECONDS = (1.0, 60.0)
"""How long after its end another companion is started again: at first, and at most. The pause doubles each time, until
the companion has run for the longest pause."""

GRACE_SECONDS = 3.0
"""How long a companion may take to end after SIGTERM. Then it is killed."""

_USELESS_TO_RESTART = (UsageError.exit_code, AuthError.exit_code, ConfigError.exit_code)
"""Exit codes with which it would only fail again: usage, keys refused, configuration."""

_log = logging.getLogger("ssmd.companions")


class Companions:
    """The companions of one run.

    `keys`: the fields of the keys by type, each a mapping of names to values. `environ`: the collector's own
    environment variables.
    """

    def __init__(
        self,
        companions: Iterable[Companion],
        status: Status,
        *,
        keys: Mapping[str, Mapping[str, str]] | None = None,
        environ: Mapping[str, str] = os.environ,
        delay_seconds: float = DELAY_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        pause_seconds: tuple[float, float] = PAUSE_SECONDS,
    ) -> None:
        self._status = status
        self._watches = []
        for companion in companions:
            state = status.companions[companion.name] = CompanionState()
            variables = variables_of(companion, keys or {}, environ)
            loop = _Watch(companion, state, status, variables, (delay_seconds, retry_seconds), pause_seconds)
            self._watches.append(loop)
        self._greenlets: list[gevent.Greenlet] = []

    def prepare(self, ended: Event) -> None:
        """Run to their end those that come first; to be called before the writer is opened. Raises OutputError."""
        prepare([watch for watch in self._watches if watch.companion.first], self._status, ended)

    def start(self) -> None:
        """Begin; to be called when the writer is open."""
        self._greenlets = [gevent.spawn(watch.run) for watch in self._watches if not watch.companion.first]

    def start_again(self) -> None:
        """Start those again that have ended for good: what was wrong may be right by now."""
        for watch in self._watches:
            watch.again.set()

    def stop(self) -> None:
        """End them all, within GRACE_SECONDS; to be called after the writer's last sync. Idempotent."""
        for watch in self._watches:
            watch.stop()
        gevent.joinall(self._greenlets, timeout=GRACE_SECONDS)
        for watch in self._watches:
            watch.kill()
        gevent.joinall(self._greenlets, timeout=1)
        gevent.killall(self._greenlets, timeout=1)


class _Watch:
    """Runs one companion, again and again."""

    def __init__(
        self,
        companion: Companion,
        state: CompanionState,
        status: Status,
        variables: Mapping[str, str],
        daily_seconds: tuple[float, float],
        pause_seconds: tuple[float, float],
    ) -> None:
        self.companion = companion
        self._state = state
        self._status = status
        self._variables = variables
        self._delay_seconds, self._retry_seconds = daily_seconds
        self._pause_seconds = pause_seconds
        self._stopped = Event()
        self.again = Event()
        """Set to start it again although it has ended for good."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def error(self) -> str | None:
        return self._state.error

    def run(self) -> None:
        if self.companion.daily:
            self._run_daily()
        else:
            self._run_always()

    def _run_daily(self) -> None:
        tried, again = "", math.inf
        while not self._stopped.wait(self._delay_seconds):
            day = self._status.day
            at_work = self._status.connected or self._status.closed_until_ns is not None
            if at_work and (day != tried or time.monotonic() >= again):
                tried, again = day, math.inf
                if self.run_once() != 0:
                    again = time.monotonic() + self._retry_seconds

    def _run_always(self) -> None:
        pause, longest = self._pause_seconds
        while not self._stopped.is_set():
            began = time.monotonic()
            code = self.run_once()
            if code in _USELESS_TO_RESTART:
                _log.error(
                    "companion is not started again before a reload", extra={"companion": self.companion.name}
                )
                self.again.clear()
                gevent.wait([self._stopped, self.again], count=1)
                pause = self._pause_seconds[0]
                continue
            if time.monotonic() - began >= longest:
                pause = self._pause_seconds[0]
            self._stopped.wait(pause)
            pause = min(2 * pause, longest)

    def run_once(self) -> int | None:
        """Run the companion to its end; return its exit code, None when it could not be started."""
        arguments = [self._status.day if word == DAY else word for word in self.companion.arguments]
        reading, writing = os.pipe()
        with FileObject(reading, "rb") as reports:
            try:
                process = self._start(arguments, writing)
            except OSError as error:
                self._failed(error.strerror or str(error))
                return None
            finally:
                os.close(writing)
            self._process = process
            if self._stopped.is_set():  # While it was being started.
                process.terminate()
            self._state.up, self._state.starts = True, self._state.starts + 1
            log = CompanionLog(self.companion.name)
            code = follow(
                process, (process.stdout, log.printed), (process.stderr, log.complained), (reports, self._report)
            )
        self._state.up = False
        if self._stopped.is_set():
            return 0
        if code:
            self._failed(log.reason(code))
        elif not (self.companion.daily or self.companion.first):
            self._failed("it ended by itself")
        return code

    def _start(self, arguments: Sequence[str], status_fd: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "ssmd", *arguments],
            env={**self._variables, STATUS_FD: str(status_fd)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(status_fd,),
            start_new_session=True,  # Ctrl-C in the terminal is for the collector, which then calls stop().
        )

    def _report(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            report = json.loads(line)
            if isinstance(report, dict):
                self._state.report.update(report)
                self._state.reported = time.monotonic()

    def _failed(self, reason: str) -> None:
        self._state.failures += 1
        self._state.error = reason
        _log.warning("companion failed", extra={"companion": self.companion.name, "reason": reason})

    def stop(self) -> None:
        self._stopped.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
