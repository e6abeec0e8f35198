"""What open tabs of the page cost a collector that is flat out.

    bin/bench --tabs [--rounds=<pairs>] [--seconds=<s>] [--only=<cases>]

A pair is one run of the real `ssmd run` at saturation, on a core of its own: browsers are on other hosts. Its CPU time
a message is measured for short slices of time in turn, without tabs and with them, until --seconds (36) with tabs have
been measured. Each slice with tabs is compared with the two beside it, since a virtual machine may change its speed by
a fifth from one second to the next. It begins when every tab has had its first event, and a time at random after that,
since events come up to 2 s apart. At the end of a run, with the tabs still open, /health is asked for, and the memory
is read. The cases run in turn, --rounds (10) times: no tab at all, which shows what the method itself can tell apart;
one; a hundred; and a hundred that never read, in longer slices, so that each is cut off and comes back.
What was written is counted and freed at once, so that a run needs little room. It takes about an hour, on a machine
with two cores that has nothing else to do: on a collector that gets a tenth of a core, the time of the page weighs ten
times as much.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.collector import Probes, Ssmd, environ
from bench.figures import DRAIN_SECONDS, await_output, faults_of, own_seconds, peak_mb
from bench.growing import Growing
from bench.load import START_SECONDS, Load, Source, kill, on_last_core, on_other_cores, uninterrupted
from bench.measure import WARM_SECONDS, Bench, RunFailed
from bench.tabs_report import CASES, Case, Pair, report
from ssmd.server.streams import MOST_SECONDS

__all__ = ["main", "measure"]

HEALTH_STRETCH = 1.5
"""For so many seconds of each run /health is asked for."""
_LOOK_SECONDS = 0.02


class _Stretch(NamedTuple):
    """A part of a run."""

    seconds: float
    cpu: float
    """Seconds."""
    size: int
    """Bytes written."""


class _Run:
    """A collector at saturation, with its file."""

    def __init__(self, process: subprocess.Popen[bytes], probes: Probes, file: Growing) -> None:
        self.process = process
        self.probes = probes
        self.file = file

    def stretch(self, seconds: float, each: Callable[[], object] = lambda: None) -> _Stretch:
        """Let `seconds` pass, and `each` be called all the time."""
        began, cpu, size = time.monotonic(), own_seconds(self.process.pid), self.file.size
        while (left := began + seconds - time.monotonic()) > 0:
            each()
            self.file.count()
            time.sleep(min(_LOOK_SECONDS, left))
        return _Stretch(time.monotonic() - began, own_seconds(self.process.pid) - cpu, self.file.size - size)

    def health(self, seconds: float) -> list[float]:
        """Return the milliseconds that each request for /health has taken."""
        times: list[float] = []
        self.stretch(seconds, lambda: times.append(self.probes.health_ms()))
        return times

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def until_closed(self, descriptors: int) -> None:
        """Wait until it has no more descriptors than these. Raises RuntimeError."""
        until = time.monotonic() + START_SECONDS
        while self.descriptors > descriptors:
            if time.monotonic() > until:
                raise RuntimeError(f"{self.descriptors - descriptors} streams of closed tabs are still open")
            self.stretch(0.1)


class _Tabs:
    """The process of open_tabs.py."""

    def __init__(self, run: _Run, *, reads: bool) -> None:
        self._run = run
        command = [sys.executable, "-P", "-m", "bench.open_tabs", *([] if reads else ["--never-read"])]
        with uninterrupted():
            self.process = subprocess.Popen(
                [*command, *run.probes.address],
                env=environ(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )

    def ask(self, line: str) -> list[str]:
        """Send it a command; return the words of its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line.encode() + b"\n")
        os.set_blocking(self.process.stdout.fileno(), False)
        until, text = time.monotonic() + START_SECONDS, b""
        while not text.endswith(b"\n"):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the tabs cannot be opened")
            self._run.stretch(_LOOK_SECONDS)
            text += self.process.stdout.read(100) or b""
        return text.decode().split()


def measure(bench: Bench, case: Case, seconds: float) -> Pair:
    """Measure one run. Raises RunFailed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.scratch)))
        source = bench.source(Load(), folder / "seen", alone=True)
        stack.callback(source.kill)
        collector = Ssmd()
        with on_other_cores(True), uninterrupted():
            process = collector.start(folder, f"ws://127.0.0.1:{source.port}", environ())
            stack.callback(kill, process)
        stack.enter_context(on_last_core(True))
        try:
            source.line(START_SECONDS, process)
            probes = Probes(folder, process)
            file = stack.enter_context(Growing(await_output(collector, folder)))
            source.send("go")
            pair = _pair(_Run(process, probes, file), case, seconds)
            _end(source, process, probes, file)
        except (OSError, EOFError, RuntimeError, ValueError) as error:
            raise RunFailed(f"{case.name}: {error} {(folder / 'log').read_text(errors='replace')[-500:]}") from None
        return pair


def _pair(run: _Run, case: Case, seconds: float) -> Pair:
    run.stretch(WARM_SECONDS)
    pair = Pair()
    tabs = _Tabs(run, reads=case.reads) if case.tabs else None
    try:
        slices = [run.stretch(case.slice_seconds)]
        for left in reversed(range(max(1, round(seconds / case.slice_seconds)))):
            slices += _slices(run, case, tabs, pair, is_last=left == 0)
    finally:
        if tabs:
            kill(tabs.process)
    line = run.file.size / run.file.lines
    pair.costs = [each.cpu / each.size * line * 1e6 for each in slices]
    pair.rate = statistics.median(each.size / line / each.seconds for each in slices[1::2])
    return pair


def _slices(run: _Run, case: Case, tabs: _Tabs | None, pair: Pair, *, is_last: bool) -> tuple[_Stretch, _Stretch]:
    """Measure a slice with tabs, and one without."""
    descriptors = run.descriptors
    if tabs:
        tabs.ask(f"open {case.tabs}")
        run.stretch(random.uniform(0, MOST_SECONDS))
    looked_at = run.stretch(case.slice_seconds)
    if is_last:
        pair.health_ms = run.health(HEALTH_STRETCH)
        pair.memory_mb = peak_mb(run.process.pid)
    if tabs:
        events, cut = tabs.ask("close")[1:]
        pair.events += int(events)
        pair.cut += int(cut)
    run.until_closed(descriptors)
    return looked_at, run.stretch(case.slice_seconds)


def _end(source: Source, process: subprocess.Popen[bytes], probes: Probes, file: Growing) -> None:
    """End a run. Raises RuntimeError when it has lost something."""
    source.send("stop")
    sent = int(source.line(DRAIN_SECONDS, process)[1]) + 1  # And the acknowledgement.
    file.await_lines(sent, DRAIN_SECONDS)
    faults = faults_of(probes)
    source.send("close")
    process.wait(DRAIN_SECONDS)
    if file.lines != sent or faults:
        raise RuntimeError(f"{sent} messages sent, {file.lines} written; {faults}")


def main(folder: Path, seconds: float, rounds: int, only: Sequence[str], progress: Callable[[str], None]) -> int:
    """Measure and print the table; return the exit code. Raises RunFailed."""
    found: dict[Case, list[Pair]] = {case: [] for case in CASES if any(name in case.name for name in only)}
    with Bench(folder) as bench:
        if bench.sender is None:
            progress("no C compiler: the load is sent by Python")
        bench.warm(seconds)
        for number in range(1, rounds + 1):
            for case, pairs in found.items():
                pairs.append(pair := measure(bench, case, seconds))
                progress(
                    f"{number}/{rounds} {case.name}: {pair.without_us:.3f} us, {pair.with_us:.3f} us with, "
                    f"{(pair.ratio - 1) * 100:+.2f} %, {pair.memory_mb:.1f} MB, {pair.events} events, {pair.cut} cut"
                )
    print(report(found), end="")
    return 0
