"""Has finished days sealed, by a process of its own, so that neither the start nor the hot path waits for it."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from gevent import subprocess
from gevent.event import Event

import ssmd
from ssmd.errors import printable
from ssmd.metrics import Metrics
from ssmd.runtime.status import Status

__all__ = ["DELAY_SECONDS", "RETRY_SECONDS", "Sealer"]

DELAY_SECONDS = 5.0
"""How long after the start, or after midnight, it begins: the collector is busy with other things then."""

RETRY_SECONDS = 3600.0
"""How long after a failure it tries again."""

_PASSED_ON = ("LANG", "LC_", "LD_", "PATH", "PYTHON", "TZ")
"""What the beginnings are of the environment variables that the process gets. It needs no key."""

_log = logging.getLogger("ssmd.sealer")


class Sealer:
    """Keeps the Service contract: runs `ssmd seal` at the start and whenever the writer has gone over to a new day.

    That it fails is logged and counted, and does not end the run: the data is there, and an hour later it is
    tried again. `root`: the storage folder. `environ`: the collector's own environment variables.
    """

    def __init__(
        self,
        root: Path,
        feed: str,
        *,
        status: Status,
        metrics: Metrics,
        environ: Mapping[str, str] = os.environ,
        delay_seconds: float = DELAY_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._root = root
        self._feed = feed
        self._status = status
        self._metrics = metrics
        self._environ = {name: value for name, value in environ.items() if name.startswith(_PASSED_ON)}
        self._delay_seconds = delay_seconds
        self._retry_seconds = retry_seconds
        self._stopped = Event()
        self._process: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        tried, again = "", math.inf
        while not self._stopped.wait(self._delay_seconds):
            day = Path(self._status.location).parent.name
            if self._status.connected and (day != tried or time.monotonic() >= again):
                tried, again = day, math.inf
                if not self._seal_before(day):
                    again = time.monotonic() + self._retry_seconds

    def _seal_before(self, day: str) -> bool:
        """Whether it could be done."""
        folder = str(Path(ssmd.__file__).parent.parent)
        path = os.pathsep.join(filter(None, (folder, self._environ.get("PYTHONPATH"))))
        command = [sys.executable, "-P", "-m", "ssmd", "seal", str(self._root), "--feed", self._feed, "--before", day]
        try:
            self._process = subprocess.Popen(
                command,
                env={**self._environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # The terminal's Ctrl-C is for the collector, which stops it with stop().
            )
        except OSError as error:
            return self._failed(error.strerror or str(error))
        told, complaints = self._process.communicate()
        if self._stopped.is_set():
            return True
        for line in told.splitlines():
            _log.info(printable(line))
        if self._process.returncode:
            return self._failed(printable(complaints[-400:]) or f"exit code {self._process.returncode}")
        return True

    def _failed(self, reason: str) -> bool:
        self._metrics.seal_failures.inc()
        _log.warning("finished days could not be sealed", extra={"feed": self._feed, "reason": reason})
        return False

    def stop(self) -> None:
        self._stopped.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
