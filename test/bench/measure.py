"""One run: a load source, one collector, a warm-up, a window that is measured, and the proof that nothing was lost."""

from __future__ import annotations

import contextlib
import os
import select
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
from bench.latency import latencies_ms, percentile
from bench.peers import SINK, Collector

__all__ = ["START_SECONDS", "Bench", "Load", "Result", "RunFailed", "Source", "cpu_seconds"]

MOST_BYTES = 2 * 1024**3
"""A run ends early when its file is so long, for the disk's sake; only the C reader writes that much."""
WARM_SECONDS = 0.5
WARM_BYTES_A_SECOND = 512 * 1024**2
START_SECONDS = 30.0
DRAIN_SECONDS = 60.0
STUCK_SECONDS = 5.0
HEALTH_SECONDS = 0.02


class RunFailed(Exception):
    """A collector did not start, or not end."""


@dataclass(frozen=True)
class Load:
    """What is sent: flat out when `rate` is 0; `tls` is "", "message" or "full", see source.py."""

    rate: float = 0
    sids: int = 4
    size: int = 0
    tls: str = ""


@dataclass
class Result:
    """Of one run; rates and CPU are of the window."""

    rate: float
    """Messages written a second."""
    cpu_us: float
    """CPU microseconds a message, user and system."""
    cpu_percent: float
    """Of one core."""
    rss_mb: float
    """The highest resident memory, VmHWM, from start to end."""
    start_ms: float
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
            source = Source(self, load, folder / "seen", alone=watching)
            stack.callback(source.kill)
            scheme = "wss" if load.tls else "ws"
            started = time.monotonic_ns()
            with _on_other_cores(watching):
                url = f"{scheme}://127.0.0.1:{source.port}"
                process = collector.start(folder, url, environ(self.authority if load.tls else None))
            stack.callback(_kill, process)
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
        path = None if collector.name == SINK else _await_output(collector, folder)
        start_ms = (time.monotonic_ns() - started if path else ready_ns - started) / 1e6
        probes = Probes(folder, process) if isinstance(collector, Ssmd) else None

        source.tell(f"go {path}" if load.rate and path else "go")
        self._sleep(path, WARM_SECONDS, self.most_bytes // 4)
        first = _look(process, path)
        times = list(self._health(probes, path, seconds)) if health and probes else []
        if not times:
            self._sleep(path, seconds, self.most_bytes)
        last = _look(process, path)
        source.tell("stop")
        _, sent, began, ended = source.line(DRAIN_SECONDS, process)
        _await_lines(path, int(sent) + 1)  # And the acknowledgement.
        rss_mb = _status(process.pid, "VmHWM") / 1e3
        fault = _gaps(probes) if probes else ""
        source.tell("close")
        try:
            process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{collector.name}: did not end") from None

        cpu = last.cpu - first.cpu
        window = (last.ns - first.ns) / 1e9
        if path is None:
            messages = int(sent) * window / ((int(ended) - int(began)) / 1e9)
            return Result(messages / window, cpu / messages * 1e6, cpu / window * 100, rss_mb, start_ms)
        size, lines = _count(path)
        if lines != int(sent) + 1:
            fault = fault or f"{int(sent) + 1} messages sent, {lines} written"
        messages = max(1.0, (last.size - first.size) / size * lines)
        result = Result(messages / window, cpu / messages * 1e6, cpu / window * 100, rss_mb, start_ms, fault)
        result.health_ms = times
        if load.rate:
            log = (folder / "seen").read_bytes()
            found = list(latencies_ms(path.read_bytes(), log, first.ns, last.ns))
            p50, p99, p999 = (percentile(found, share) for share in (0.5, 0.99, 0.999))
            result.latency_ms = (p50, p99, p999)
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


class Source:
    """The load source's process. `alone` gives it a core of its own, for it spins while it watches."""

    def __init__(self, bench: Bench, load: Load, log: Path, *, alone: bool = False) -> None:
        command = [sys.executable, "-P", "-m", "bench.source", f"--rate={load.rate}", f"--sids={load.sids}"]
        command += [f"--size={load.size}", f"--log={log}"]
        if load.tls:
            command += [f"--tls={load.tls}", f"--certificate={bench.certificate}"]
        elif bench.sender:
            command.append(f"--sender={bench.sender}")
        with _on_last_core(alone):
            self._process = subprocess.Popen(
                command,
                env=environ(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # So that Ctrl-C reaches only who clears away.
            )
        self.port = int(self.line(START_SECONDS)[1])

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def line(self, seconds: float, other: subprocess.Popen[bytes] | None = None) -> list[str]:
        """The words of the next line. Raises EOFError when it ends, RuntimeError when time is up or `other` ends."""
        assert self._process.stdout is not None
        text = b""
        until = time.monotonic() + seconds
        while not text.endswith(b"\n"):
            if select.select([self._process.stdout], [], [], 0.1)[0]:
                byte = self._process.stdout.read(1)
                if not byte:
                    raise EOFError("the load source has ended")
                text += byte
            elif other is not None and other.poll() is not None:
                raise RuntimeError(f"ended with {other.returncode}")
            elif time.monotonic() > until:
                raise RuntimeError(f"nothing within {seconds:g} s")
        return text.decode().split()

    def wait(self) -> int:
        return self._process.wait()

    def kill(self) -> None:
        _kill(self._process)


@dataclass(frozen=True)
class _Look:
    ns: int
    size: int
    cpu: float


def _look(process: subprocess.Popen[bytes], path: Path | None) -> _Look:
    return _Look(time.monotonic_ns(), path.stat().st_size if path else 0, cpu_seconds(process.pid))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads, and of its living children, to the ns."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = children.read_text().split() if children.exists() else []
    # The number of a process's CPU clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2) + sum(map(cpu_seconds, map(int, below)))


def _status(pid: int, name: str) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1])


def _await_output(collector: Collector, folder: Path) -> Path:
    """The collector's file, once its first line is in it."""
    until = time.monotonic() + START_SECONDS
    while (path := collector.output(folder)) is None or not path.stat().st_size:
        if time.monotonic() > until:
            raise RuntimeError("has written nothing")
        time.sleep(0.001)
    return path


def _await_lines(path: Path | None, lines: int) -> None:
    """Wait until the file has so many lines, or has not grown for long."""
    if path is None:
        return
    size, since = -1, time.monotonic()
    until = since + DRAIN_SECONDS
    while time.monotonic() < min(since + STUCK_SECONDS, until):
        time.sleep(0.05)
        if path.stat().st_size != size:
            size, since = path.stat().st_size, time.monotonic()
        elif _count(path)[1] >= lines:
            return


def _gaps(probes: Probes) -> str:
    metrics = probes.metrics()
    found = {name: metrics[name] for name in ("ssmd_sequence_gaps_total", "ssmd_messages_not_json_total")}
    return ", ".join(f"{name} is {value:g}" for name, value in found.items() if value)


def _count(path: Path) -> tuple[int, int]:
    """Bytes and lines."""
    size = lines = 0
    with open(path, "rb", buffering=0) as file:
        while part := file.read(2**20):
            size += len(part)
            lines += part.count(b"\n")
    return size, lines


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _compile(source: Path, program: Path) -> Path | None:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    built = subprocess.run([compiler, "-O2", "-o", program, source], capture_output=True, text=True, check=False)
    if built.returncode:
        print(f"bench: {source.name} does not compile: {built.stderr.strip()}", file=sys.stderr)
        return None
    return program


@contextlib.contextmanager
def _on_cores(cores: set[int]) -> Iterator[None]:
    """What is started meanwhile runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _on_last_core(wanted: bool) -> contextlib.AbstractContextManager[None]:
    cores = os.sched_getaffinity(0)
    return _on_cores({max(cores)} if wanted and len(cores) > 1 else cores)


def _on_other_cores(wanted: bool) -> contextlib.AbstractContextManager[None]:
    cores = os.sched_getaffinity(0)
    return _on_cores(cores - {max(cores)} if wanted and len(cores) > 1 else cores)
