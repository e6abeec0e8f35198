"""Whether it stays as it is: the real `ssmd run` for an hour, looked at once a second.

    python test/bench/soak.py [<seconds>] [<messages per second>]

By default 3600 seconds of 5,000 messages a second, which takes 6 GB below TMPDIR, removed at the end. Prints a
table of memory, descriptors, threads, the queue and the time /health took to answer, and exits with 1 when memory
or descriptors have grown between the second quarter and the last, /health was ever slow or missing, or a message
was lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from saturation import HERE, ROOT, metadata

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


def start_collector(tree: Path, port: int) -> tuple[subprocess.Popen[bytes], str]:
    """The collector, and where its probes are."""
    metadata(tree, port)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with open(tree / "log", "wb") as log:
        collector = subprocess.Popen(
            [sys.executable, "-m", "ssmd", "run", "bench", "--config-dir", tree, "--listen", "127.0.0.1:0"],
            cwd=ROOT,
            env=os.environ | {"BENCH_KEY": "bench", "BENCH_SECRET": key, "SSMD_LOG_FORMAT": "json"},
            stderr=log,
        )
    while True:
        for line in (tree / "log").read_text().splitlines():
            if '"starting"' in line:
                return collector, json.loads(line)["listen"]
        if collector.poll() is not None:
            sys.exit((tree / "log").read_text())
        time.sleep(0.1)


def look(pid: int, listen: str, seconds: float) -> Sample:
    """Raises FileNotFoundError once the process has gone."""
    process = Path("/proc", str(pid))
    began = time.monotonic()
    try:
        urllib.request.urlopen(f"http://{listen}/health", timeout=MISSED / 1e3).read()
        health_ms = (time.monotonic() - began) * 1e3
    except OSError:
        health_ms = MISSED
    gauges: dict[str, float] = {}
    with contextlib.suppress(OSError):
        metrics = urllib.request.urlopen(f"http://{listen}/metrics", timeout=5).read().decode()
        gauges = {name: float(value) for name, value in re.findall(r"^(ssmd_\w+)\{[^}]*\} (\S+)$", metrics, re.M)}
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


def watch(collector: subprocess.Popen[bytes], listen: str) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    with contextlib.suppress(FileNotFoundError):
        while collector.poll() is None:
            samples.append(look(collector.pid, listen, time.monotonic() - began))
            time.sleep(max(0.0, began + len(samples) - time.monotonic()))
    if samples and samples[-1].health_ms == MISSED:
        samples.pop()  # It fell into the end, when nobody listens any longer.
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


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 5000.0
    with tempfile.TemporaryDirectory(prefix="ssmd-soak-") as scratch:
        tree = Path(scratch)
        load = subprocess.Popen(
            [sys.executable, HERE / "load.py", str(seconds), str(rate)], stdout=subprocess.PIPE, text=True
        )
        collector = None
        try:
            assert load.stdout is not None
            collector, listen = start_collector(tree, int(load.stdout.readline()))
            samples = watch(collector, listen)
            code, cpu = finish(collector)
            sent = int((load.stdout.readline() or "0").split()[0])
        finally:
            for process in (load, collector):
                if process is not None and process.poll() is None:
                    process.kill()
        table(samples)
        faults = growth(samples)
        lines = written(tree)
        each = cpu / max(lines, 1) * 1e6
        print(f"{sent:,} messages sent, {lines:,} written, {each:.1f} us CPU each; exit code {code}")
        if lines != sent or code != 75:
            faults.append("messages are missing, or it did not end as it should: " + (tree / "log").read_text()[-500:])
    for fault in faults:
        print(f"FAILED: {fault}")
    sys.exit(bool(faults))


def finish(collector: subprocess.Popen[bytes]) -> tuple[int, float]:
    """The exit code, and the CPU seconds that our only waited-for child has taken."""
    code = collector.wait()
    usage = os.times()
    return code, usage.children_user + usage.children_system


if __name__ == "__main__":
    main()
