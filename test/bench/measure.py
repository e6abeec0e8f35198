"""One run: a load source, one collector, a warm-up, the window that is measured, and a check that nothing was lost."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from exchange_server import Authority

from bench.collector import Probes, Ssmd, environ
from bench.figures import DRAIN_SECONDS, Sample, await_lines, await_output, count, faults_of, peak_mb, sample
from bench.latency import latencies_ms, percentile, stamps
from bench.load import START_SECONDS, Load, Source, kill, on_other_cores, uninterrupted
from bench.peers import SINK, Collector

__all__ = ["Bench", "Result", "RunFailed"]

MOST_BYTES = 2 * 1024**3
"""A run ends early when its file has so many bytes, to spare the disk; only the C reader writes that much."""
WARM_SECONDS = 0.5
WARM_BYTES_A_SECOND = 512 * 1024**2
HEALTH_SECONDS = 0.02
"""Pause between two requests for /health."""


class RunFailed(Exception):
    """A collector did not start, or did not end."""


@dataclass
class Result:
    """The figures of one run; rates and CPU are those of the window."""

    rate: float
    """Messages written a second."""
    cpu_us: float
    """CPU microseconds a message, user and system."""
    cpu_percent: float
    """Of one core, with its children."""
    rss_mb: float = float("nan")
    """The highest resident memory, VmHWM, from start to end."""
    start_ms: float = float("nan")
    """From the start of the process to the first line in the file."""
    fault: str = ""
    """What was lost; empty when nothing was."""
    latency_ms: tuple[float, float, float] = (float("nan"),) * 3
    """From sending to the line in the file: p50, p99, p99.9."""
    stamp_ms: tuple[float, float] = (float("nan"),) * 2
    """From sending to the time in the line: p50, p99."""
    stamp_step_ms: float = float("nan")
    """The resolution of the times in the lines."""
    health_ms: list[float] = field(default_factory=list)
    own_percent: float = float("nan")
    """As cpu_percent, without the children, such as a relay."""
    messages: int = 0
    """Messages that the source has sent."""


@dataclass
class _Run:
    """A collector that was started, and the load source that it connects to."""

    collector: Collector
    process: subprocess.Popen[bytes]
    source: Source
    load: Load
    folder: Path
    started_ns: int


class Bench:
    """What all runs share: a scratch folder, compiled programs, certificates. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ssmd-bench-", dir=folder)))
        here = Path(__file__).parent
        self.sender = _compile(here / "source.c", self.scratch / "source")
        self.reader = _compile(here / "peers" / "reader.c", self.scratch / "reader")
        authority = Authority(self.scratch)
        authority.context("127.0.0.1")
        self.authority, self.certificate = authority.path, self.scratch / "127.0.0.1.pem"
        free = shutil.disk_usage(self.scratch).free
        self.most_bytes = min(MOST_BYTES, free // 3)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stack.close()

    def warm(self, seconds: float) -> None:
        """Write once as much as runs of `seconds` do: on a virtual machine, first use of memory or disk is slow."""
        size = min(self.most_bytes, int(seconds * WARM_BYTES_A_SECOND))
        path = self.scratch / "warm"
        with open(path, "wb", buffering=0) as file:
            for _ in range(size // 2**20):
                file.write(bytes(2**20))
        path.unlink()

    def source(self, load: Load, log: Path, *, alone: bool = False) -> Source:
        """Return a load source that waits for its client. The caller kills it at the end."""
        return Source(load, log, sender=self.sender, certificate=self.certificate, alone=alone)

    def run(
        self,
        collector: Collector,
        load: Load,
        seconds: float,
        *,
        health: bool = False,
        inspect: Callable[[Path], None] | None = None,
    ) -> Result:
        """Measure one run for `seconds`, with requests for /health if `health`; call `inspect` with the finished file.

        Raises RunFailed.
        """
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.scratch)))
            watching = bool(load.rate)
            source = self.source(load, folder / "seen", alone=watching)
            stack.callback(source.kill)
            started_ns = time.monotonic_ns()
            url = f"{'wss' if load.tls else 'ws'}://127.0.0.1:{source.port}"
            with on_other_cores(watching), uninterrupted():
                process = collector.start(folder, url, environ(self.authority if load.tls else None))
                stack.callback(kill, process)
            try:
                run = _Run(collector, process, source, load, folder, started_ns)
                result = self._measure(run, seconds, health)
                if inspect is not None and (path := collector.output(folder)) is not None:
                    inspect(path)
                return result
            except (OSError, EOFError, RuntimeError, ValueError) as error:
                log = (folder / "log").read_text(errors="replace")[-500:]
                raise RunFailed(f"{collector.name}: {error or 'ended'} {log}".strip()) from None

    def _measure(self, run: _Run, seconds: float, health: bool) -> Result:
        source, process = run.source, run.process
        ready_ns = int(source.line(START_SECONDS, process)[1])
        path = None if run.collector.name == SINK else await_output(run.collector, run.folder)
        start_ms = ((time.monotonic_ns() if path else ready_ns) - run.started_ns) / 1e6
        probes = Probes(run.folder, process) if isinstance(run.collector, Ssmd) else None

        if probes and isinstance(run.collector, Ssmd):
            run.collector.begin(probes)
        source.send(f"go {path}" if run.load.rate and path else "go")
        self._sleep(path, WARM_SECONDS, self.most_bytes // 4)
        first = sample(process, path)
        times = list(self._health(probes, path, seconds)) if health and probes else []
        if not times:
            self._sleep(path, seconds, self.most_bytes)
        last = sample(process, path)
        source.send("stop")
        _, sent, began, ended = source.line(DRAIN_SECONDS, process)
        await_lines(path, int(sent) + 1)  # And the acknowledgement.
        if probes and isinstance(run.collector, Ssmd):
            run.collector.finish(probes, int(sent))

        result = _result(path, first, last, int(sent), (int(ended) - int(began)) / 1e9)
        result.messages = int(sent)
        result.rss_mb, result.start_ms, result.health_ms = peak_mb(process.pid), start_ms, times
        result.fault = (faults_of(probes) if probes else "") or result.fault
        _close(run)
        if run.load.rate and path is not None:
            _add_times(result, path.read_bytes(), (run.folder / "seen").read_bytes(), first.wall_ns, last.wall_ns)
        return result

    def _sleep(self, path: Path | None, seconds: float, most_bytes: int) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if path is not None and path.stat().st_size >= most_bytes:
                return
            time.sleep(min(left, 0.02))

    def _health(self, probes: Probes, path: Path | None, seconds: float) -> Iterator[float]:
        """Yield the milliseconds that /health takes, over and over for `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and path is not None and path.stat().st_size < self.most_bytes:
            yield probes.health_ms()
            time.sleep(HEALTH_SECONDS)


def _close(run: _Run) -> None:
    """Let the source close the connection, and wait until the collector has ended."""
    run.source.send("close")
    try:
        run.process.wait(DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{run.collector.name}: did not end") from None


def _result(path: Path | None, first: Sample, last: Sample, sent: int, sending_seconds: float) -> Result:
    """Return the figures of the window between two samples; without a file, from what the source has sent."""
    seconds, cpu, own = (last.ns - first.ns) / 1e9, last.cpu - first.cpu, last.own - first.own
    fault = ""
    if path is None:
        messages = sent * seconds / sending_seconds
    else:
        size, lines = count(path)
        messages = max(1.0, (last.size - first.size) / size * lines)
        if lines != sent + 1:
            fault = f"{sent + 1} messages sent, {lines} written"
    figures = (messages / seconds, cpu / messages * 1e6, cpu / seconds * 100)
    return Result(*figures, own_percent=own / seconds * 100, fault=fault)


def _add_times(result: Result, lines: bytes, log: bytes, from_ns: int, to_ns: int) -> None:
    found = list(latencies_ms(lines, log, from_ns, to_ns))
    result.latency_ms = (percentile(found, 0.5), percentile(found, 0.99), percentile(found, 0.999))
    late = stamps(lines, from_ns, to_ns)
    result.stamp_ms = (percentile(late.late_ms, 0.5), percentile(late.late_ms, 0.99))
    result.stamp_step_ms = late.step_ms


def _compile(source: Path, program: Path) -> Path | None:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    built = subprocess.run([compiler, "-O2", "-o", program, source], capture_output=True, text=True, check=False)
    if built.returncode:
        print(f"bench: {source.name} does not compile: {built.stderr.strip()}", file=sys.stderr)
        return None
    return program
