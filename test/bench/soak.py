"""The soak: the real `ssmd run` for an hour, watched once a second, to find what grows.

    bin/bench --soak [--seconds=<s>] [--rate=<messages per second>]

By default it takes 3600 seconds of 5,000 messages a second, and 6 GB below TMPDIR, which are removed at the end. It
prints a table of memory, descriptors, threads, the queue and the time that /health took to answer. It exits with 1 when
memory or descriptors were more in the last quarter than in the second, when /health was ever slow or missing, or when a
message was lost.
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
from bench.load import START_SECONDS, Load, kill, uninterrupted
from bench.measure import Bench

ROWS = 20
RSS_MAY_GROW_MB = 4.0
HEALTH_MS = 200.0
MISSED_MS = 5000.0
"""The time that stands for a probe without an answer."""


class Sample(NamedTuple):
    """The state of the collector at one moment."""

    seconds: float
    """Since the start."""
    rss_mb: float
    descriptors: int
    threads: int
    queued: float
    messages: float
    health_ms: float


def sample(pid: int, probes: Probes, seconds: float) -> Sample:
    """Return a sample of the process. Raises FileNotFoundError when it has ended."""
    process = Path("/proc", str(pid))
    try:
        health_ms = probes.health_ms(MISSED_MS / 1e3)
    except OSError:
        health_ms = MISSED_MS
    gauges: dict[str, float] = {}
    with contextlib.suppress(OSError):
        gauges = probes.metrics()
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    if "VmRSS" not in status:
        raise FileNotFoundError(process)  # It has ended, and only its exit code is left.
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
    """Return one sample for each second, up to `seconds` or until the collector ends."""
    samples: list[Sample] = []
    began = time.monotonic()
    with contextlib.suppress(FileNotFoundError):
        while collector.poll() is None and time.monotonic() < began + seconds:
            samples.append(sample(collector.pid, probes, time.monotonic() - began))
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
    """Return what is worse in the last quarter than in the second; the first one is the warm-up."""
    quarter = len(samples) // 4
    if quarter < 5:
        return ["too short to find growth"]
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
    """Return how many lines the collector has written."""
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
        source.send("go")
        samples = watch(collector, probes, seconds)
        source.send("stop")
        sent = int(source.line(START_SECONDS)[1]) + 1  # And the acknowledgement.
        cpu = cpu_seconds(collector.pid)
        source.send("close")
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
