"""Whether it stays as it is: the real `ssmd run` for an hour, looked at once a second.

    bin/bench --soak [--seconds=<s>] [--rate=<messages per second>]

By default 3600 seconds of 5,000 messages a second, which takes 6 GB below TMPDIR, removed at the end. Prints a
table of memory, descriptors, threads, the queue and the time /health took to answer, and exits with 1 when memory
or descriptors have grown between the second quarter and the last, /health was ever slow or missing, or a message
was lost.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.collector import Probes, Ssmd, environ
from bench.figures import cpu_seconds
from bench.lead import START_SECONDS, Load, kill, uninterrupted
from bench.measure import Bench

ROWS = 20
RSS_MAY_GROW_MB = 4.0
HEALTH_MS = 200.0
MISSED = 5000.0
"""What a probe without an answer counts as, in ms."""


class Sample(NamedTuple):
    seconds: float
    rss_mb: float
    descriptors: int
    threads: int
    queued: float
    messages: float
    health_ms: float


def look(pid: int, probes: Probes, seconds: float) -> Sample:
    """Raises FileNotFoundError once the process has gone."""
    process = Path("/proc", str(pid))
    try:
        health_ms = probes.health_ms(MISSED / 1e3)
    except OSError:
        health_ms = MISSED
    gauges: dict[str, float] = {}
    with contextlib.suppress(OSError):
        gauges = probes.metrics()
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    if "VmRSS" not in status:
        raise FileNotFoundError(process)  # It has exited and only waits to be waited for.
    return Sample(
        seconds,
        int(status["VmRSS"].split()[0]) / 1e3,
        len(os.listdir(process / "fd")),
        int(status["Threads"]),
        gauges.get("ssmd_queue_messages", 0),
        gauges.get("ssmd_messages_total", 0),
        health_ms,
    )


def watch(collector: subprocess.Popen[bytes], probes: Probes, seconds: float) -> list[Sample]:
    """One sample a second, for so long or until the collector ends."""
    samples: list[Sample] = []
    began = time.monotonic()
    with contextlib.suppress(FileNotFoundError):
        while collector.poll() is None and time.monotonic() < began + seconds:
            samples.append(look(collector.pid, probes, time.monotonic() - began))
            time.sleep(max(0.0, began + len(samples) - time.monotonic()))
    return samples


def table(samples: Sequence[Sample]) -> None:
    print("    time   msg/s   RSS MB     fds  threads  queued  /health ms: median  worst")
    size = max(1, -(-len(samples) // ROWS))
    for first in range(0, len(samples), size):
        part = samples[first : first + size]
        before = samples[max(0, first - 1)]
        rate = (part[-1].messages - before.messages) / max(part[-1].seconds - before.seconds, 1)
        health = [sample.health_ms for sample in part]
        print(
            f"{part[-1].seconds:>7.0f}s {rate:>7,.0f} {max(sample.rss_mb for sample in part):>8.1f}"
            f" {max(sample.descriptors for sample in part):>7} {max(sample.threads for sample in part):>8}"
            f" {max(sample.queued for sample in part):>7,.0f}"
            f" {statistics.median(health):>19.1f} {max(health):>6.1f}"
        )


def growth(samples: Sequence[Sample]) -> list[str]:
    """What is worse in the last quarter than in the second; the first is for warming up."""
    quarter = len(samples) // 4
    if quarter < 5:
        return ["too short to tell"]
    earlier, later = samples[quarter : 2 * quarter], samples[-quarter:]
    faults = []
    rss = [statistics.median(sample.rss_mb for sample in part) for part in (earlier, later)]
    descriptors = [statistics.median(sample.descriptors for sample in part) for part in (earlier, later)]
    print(f"RSS {rss[0]:.1f} -> {rss[1]:.1f} MB, descriptors {descriptors[0]:.0f} -> {descriptors[1]:.0f}")
    if rss[1] - rss[0] > RSS_MAY_GROW_MB:
        faults.append(f"memory has grown by {rss[1] - rss[0]:.1f} MB")
    if descriptors[1] > descriptors[0]:
        faults.append(f"descriptors have grown from {descriptors[0]:.0f} to {descriptors[1]:.0f}")
    if (worst := max(sample.health_ms for sample in samples)) > HEALTH_MS:
        faults.append(f"/health took {worst:.0f} ms")
    return faults


def written(tree: Path) -> int:
    lines = 0
    for path in tree.rglob("bench.jsonl"):
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                lines += block.count(b"\n")
    return lines


def main(folder: Path, seconds: float, rate: float) -> int:
    """Run the soak below `folder`; return the exit code."""
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Bench(folder))
        tree = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.scratch)))
        source = bench.source(Load(rate=rate), tree / "seen")
        stack.callback(source.kill)
        with uninterrupted():
            collector = Ssmd().start(tree, f"ws://127.0.0.1:{source.port}", environ())
            stack.callback(kill, collector)
        probes = Probes(tree, collector)
        source.line(START_SECONDS, collector)  # ready
        source.tell("go")
        samples = watch(collector, probes, seconds)
        source.tell("stop")
        sent = int(source.line(START_SECONDS)[1]) + 1  # And the acknowledgement.
        cpu = cpu_seconds(collector.pid)
        source.tell("close")
        code = collector.wait()
        table(samples)
        faults = growth(samples)
        lines = written(tree)
        print(
            f"{sent:,} messages sent, {lines:,} written, {cpu / max(lines, 1) * 1e6:.1f} us CPU each; exit code {code}"
        )
        if lines != sent or code != 75:
            faults.append("messages are missing, or it did not end as it should: " + (tree / "log").read_text()[-500:])
    for fault in faults:
        print(f"FAILED: {fault}")
    return int(bool(faults))
