"""One run: a load source, one collector, a warm-up, a window that is measured, and the proof that nothing was lost."""

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
from bench.figures import DRAIN_SECONDS, Look, await_lines, await_output, count, gaps, look, peak_mb
from bench.latency import latencies_ms, percentile
from bench.lead import START_SECONDS, Load, Source, kill, on_other_cores, uninterrupted
from bench.peers import SINK, Collector

__all__ = ["Bench", "Result", "RunFailed"]

MOST_BYTES = 2 * 1024**3
"""A run ends early when its file is so long, for the disk's sake; only the C reader writes that much."""
WARM_SECONDS = 0.5
WARM_BYTES_A_SECOND = 512 * 1024**2
HEALTH_SECONDS = 0.02


class RunFailed(Exception):
    """A collector did not start, or not end."""


@dataclass
class Result:
    """Of one run; rates and CPU are of the window."""

    rate: float
    """Messages written a second."""
    cpu_us: float
    """CPU microseconds a message, user and system."""
    cpu_percent: float
    """Of one core."""
    rss_mb: float = float("nan")
    """The highest resident memory, VmHWM, from start to end."""
    start_ms: float = float("nan")
    """From the start of the process to the first line in the file."""
    fault: str = ""
    """What was lost, when something was."""
    latency_ms: tuple[float, float, float] = (float("nan"),) * 3
    """p50, p99, p99.9."""
    health_ms: list[float] = field(default_factory=list)


class Bench:
    """What all runs share: a scratch folder, compiled programs, certificates, cores. A context manager."""

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
        """Touch the memory, or the disk, that runs of so many seconds take: on a virtual machine that is slow, once."""
        size = min(self.most_bytes, int(seconds * WARM_BYTES_A_SECOND))
        path = self.scratch / "warm"
        with open(path, "wb", buffering=0) as file:
            for _ in range(size // 2**20):
                file.write(bytes(2**20))
        path.unlink()

    def source(self, load: Load, log: Path, *, alone: bool = False) -> Source:
        """A load source, waiting for its client; to be killed by whoever asked."""
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
        """Measure one run; `inspect` is shown the finished file. Raises RunFailed."""
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.scratch)))
            watching = bool(load.rate)
            source = self.source(load, folder / "seen", alone=watching)
            stack.callback(source.kill)
            scheme = "wss" if load.tls else "ws"
            started = time.monotonic_ns()
            url = f"{scheme}://127.0.0.1:{source.port}"
            with on_other_cores(watching), uninterrupted():
                process = collector.start(folder, url, environ(self.authority if load.tls else None))
                stack.callback(kill, process)
            try:
                result = self._run(collector, process, source, load, folder, started, seconds, health)
                if inspect is not None and (path := collector.output(folder)) is not None:
                    inspect(path)
                return result
            except (OSError, EOFError, RuntimeError, ValueError) as error:
                log = (folder / "log").read_text(errors="replace")[-500:]
                raise RunFailed(f"{collector.name}: {error or 'ended'} {log}".strip()) from None

    def _run(
        self,
        collector: Collector,
        process: subprocess.Popen[bytes],
        source: Source,
        load: Load,
        folder: Path,
        started: int,
        seconds: float,
        health: bool,
    ) -> Result:
        ready_ns = int(source.line(START_SECONDS, process)[1])
        path = None if collector.name == SINK else await_output(collector, folder)
        start_ms = (time.monotonic_ns() - started if path else ready_ns - started) / 1e6
        probes = Probes(folder, process) if isinstance(collector, Ssmd) else None

        source.tell(f"go {path}" if load.rate and path else "go")
        self._sleep(path, WARM_SECONDS, self.most_bytes // 4)
        first = look(process, path)
        times = list(self._health(probes, path, seconds)) if health and probes else []
        if not times:
            self._sleep(path, seconds, self.most_bytes)
        last = look(process, path)
        source.tell("stop")
        _, sent, began, ended = source.line(DRAIN_SECONDS, process)
        await_lines(path, int(sent) + 1)  # And the acknowledgement.
        rss_mb = peak_mb(process.pid)
        fault = gaps(probes) if probes else ""
        source.tell("close")
        try:
            process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{collector.name}: did not end") from None

        result = _result(path, first, last, int(sent), (int(ended) - int(began)) / 1e9)
        result.rss_mb, result.start_ms, result.health_ms = rss_mb, start_ms, times
        result.fault = fault or result.fault
        if load.rate and path is not None:
            found = list(latencies_ms(path.read_bytes(), (folder / "seen").read_bytes(), first.ns, last.ns))
            result.latency_ms = (percentile(found, 0.5), percentile(found, 0.99), percentile(found, 0.999))
        return result

    def _sleep(self, path: Path | None, seconds: float, most_bytes: int) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if path is not None and path.stat().st_size >= most_bytes:
                return
            time.sleep(min(left, 0.02))

    def _health(self, probes: Probes, path: Path | None, seconds: float) -> Iterator[float]:
        """Ask for /health, again and again, instead of sleeping."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and path is not None and path.stat().st_size < self.most_bytes:
            yield probes.health_ms()
            time.sleep(HEALTH_SECONDS)


def _result(path: Path | None, first: Look, last: Look, sent: int, sending_seconds: float) -> Result:
    """The figures of the window between two looks; without a file, of what the source has sent."""
    seconds, cpu = (last.ns - first.ns) / 1e9, last.cpu - first.cpu
    fault = ""
    if path is None:
        messages = sent * seconds / sending_seconds
    else:
        size, lines = count(path)
        messages = max(1.0, (last.size - first.size) / size * lines)
        if lines != sent + 1:
            fault = f"{sent + 1} messages sent, {lines} written"
    return Result(messages / seconds, cpu / messages * 1e6, cpu / seconds * 100, fault=fault)


def _compile(source: Path, program: Path) -> Path | None:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    built = subprocess.run([compiler, "-O2", "-o", program, source], capture_output=True, text=True, check=False)
    if built.returncode:
        print(f"bench: {source.name} does not compile: {built.stderr.strip()}", file=sys.stderr)
        return None
    return program
