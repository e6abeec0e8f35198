"""Figures of a running collector: its CPU time, its memory, the size of its file, and its metrics."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bench.collector import Probes
from bench.load import START_SECONDS
from bench.peers import Collector

__all__ = [
    "DRAIN_SECONDS", "Sample", "await_lines", "await_output", "count", "cpu_seconds", "faults_of", "peak_mb", "sample",
]  # fmt: skip

DRAIN_SECONDS = 60.0
STUCK_SECONDS = 5.0


class Sample(NamedTuple):
    """The state of a run at one moment."""

    ns: int
    """Of the monotonic clock."""
    wall_ns: int
    """Of the wall clock."""
    size: int
    """Bytes in the collector's file."""
    cpu: float
    """Seconds of CPU time so far."""
    own: float
    """Those of the process itself, without its children."""


def sample(process: subprocess.Popen[bytes], path: Path | None) -> Sample:
    size = path.stat().st_size if path else 0
    return Sample(time.monotonic_ns(), time.time_ns(), size, cpu_seconds(process.pid), own_seconds(process.pid))


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process with its threads and living children, to the nanosecond."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = children.read_text().split() if children.exists() else []
    return own_seconds(pid) + sum(map(cpu_seconds, map(int, below)))


def own_seconds(pid: int) -> float:
    """Return the same of the process alone."""
    # The number of a process's CPU clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


def peak_mb(pid: int) -> float:
    """Return the highest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1e3


def await_output(collector: Collector, folder: Path) -> Path:
    """Wait until the collector has written its first line; return its file. Raises RuntimeError."""
    until = time.monotonic() + START_SECONDS
    while (path := collector.output(folder)) is None or not path.stat().st_size:
        if time.monotonic() > until:
            raise RuntimeError("has written nothing")
        time.sleep(0.001)
    return path


def await_lines(path: Path | None, lines: int) -> None:
    """Wait until the file has so many lines, or has not grown for STUCK_SECONDS."""
    if path is None:
        return
    size, since = -1, time.monotonic()
    until = since + DRAIN_SECONDS
    while time.monotonic() < min(since + STUCK_SECONDS, until):
        time.sleep(0.05)
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()
        elif count(path)[1] >= lines:
            return


def faults_of(probes: Probes) -> str:
    """Return what ssmd's own metrics report as lost or damaged; the empty text when there is nothing."""
    metrics = probes.metrics()
    found = {name: metrics.get(name, 0) for name in ("ssmd_sequence_gaps_total", "ssmd_messages_not_json_total")}
    return ", ".join(f"{name} is {value:g}" for name, value in found.items() if value)


def count(path: Path) -> tuple[int, int]:
    """Return the bytes and the lines of a file."""
    size = lines = 0
    with open(path, "rb", buffering=0) as file:
        while part := file.read(2**20):
            size += len(part)
            lines += part.count(b"\n")
    return size, lines
