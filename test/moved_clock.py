"""The clocks of one real process, which a test moves or speeds up. Unlike libfaketime this needs nothing but Python."""

from __future__ import annotations

import time
from pathlib import Path

from process import ROOT

DAY_SECONDS = 86400

_SITECUSTOMIZE = """
import os, time

def _moved(function, scale):
    def now():
        with open(os.environ["PYTHON_MOVED_CLOCK"]) as file:
            return function() + int(file.read()) * scale
    return now

time.time, time.time_ns = _moved(time.time, 1), _moved(time.time_ns, 10**9)
"""
"""Python imports it at the start of every process that finds it in PYTHONPATH."""


_FAST = """
import os, time

def _fast(function):
    began = None
    def now():
        nonlocal began
        shown = function()
        if began is None and os.path.exists(os.environ["FAST_CLOCKS"]):
            began = shown
        return shown if began is None else began + (shown - began) * {speed}
    return now

time.time, time.time_ns, time.monotonic = map(_fast, (time.time, time.time_ns, time.monotonic))
"""


class FastClocks:
    """The clocks of the processes that have its `variables`: from begin() on they run `speed` times as fast.

    The timers of gevent keep their pace, so the process must have something to do all the time.
    """

    def __init__(self, folder: Path, speed: int) -> None:
        self._file = folder / "fast"
        (folder / "sitecustomize.py").write_text(_FAST.format(speed=speed))
        self.variables = {"PYTHONPATH": f"{folder}:{ROOT}", "FAST_CLOCKS": str(self._file)}

    def begin(self) -> None:
        self._file.touch()


class MovedClock:
    """The wall clock of the processes that have its `variables`; at first it is right.

    Only time.time() and time.time_ns() are moved: timers go on unchanged, as they do when a clock is set. A companion
    has the same clock, because of the names of the variables.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._ahead = 0
        self._write()
        (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        self.variables = {"PYTHONPATH": f"{folder}:{ROOT}", "PYTHON_MOVED_CLOCK": str(self._file)}

    def now(self) -> float:
        """Return what the clock shows, in seconds since the epoch."""
        return time.time() + self._ahead

    def forward(self, seconds: int) -> None:
        """Let the clock show a time that is so much later."""
        self._ahead += seconds
        self._write()

    def to_midnight(self) -> float:
        """Set the clock to a second before the next midnight, at most; return that midnight."""
        midnight = (self.now() // DAY_SECONDS + 1) * DAY_SECONDS
        self._ahead = int(midnight - 1 - time.time())
        self._write()
        return midnight

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(str(self._ahead))
        part.replace(self._file)
