"""How fast, flat out: the real `ssmd run` against the naive collector, side by side over loopback.

    python test/bench/saturation.py [<rounds>] [<seconds>]

Each round serves both collectors in turn with the frames of load.py for so many seconds, and counts from
the first byte sent until the collector has written everything and has exited. Printed are the medians,
the ratio, ssmd's memory in the middle and at the end of a round, and how long /health took to answer,
asked every 50 ms. Exits with 1 when ssmd is not 20 times as fast, or lost a message.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GOAL = 20


class Round(NamedTuple):
    rate: float
    """Messages per second."""
    cpu_us: float
    """CPU microseconds per message."""
    rss_mb: tuple[float, float]
    """Resident memory in the middle and at the end."""
    health_ms: list[float]


def metadata(tree: Path, port: int) -> None:
    """A tree whose only environment, `bench`, collects from the load source."""
    for folder in ("environments", "feeds"):
        (tree / folder).mkdir(exist_ok=True)
    (tree / "feeds" / "bench.yaml").write_text(
        "name: bench\ntype: websocket\nversions:\n- version: v1\n  effective_from: 2026-01-01\n  protocol: wss\n"
        f"  endpoint: ws://127.0.0.1:{port}/trade-api/ws/v2\n  exchange: kalshi\n  auth_method: api_key\n"
    )
    (tree / "environments" / "bench.yaml").write_text(
        "name: bench\nfeed: bench\nkeys:\n  bench:\n    type: api_key\n    fields: [api_key, api_secret]\n"
        f"    source: env:BENCH_KEY,BENCH_SECRET\nstorage: {{type: local, path: {tree}/data}}\n"
    )


def run_round(name: str, seconds: float) -> Round:
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-") as scratch:
        tree = Path(scratch)
        load = subprocess.Popen([sys.executable, HERE / "load.py", str(seconds)], stdout=subprocess.PIPE, text=True)
        port = int(load.stdout.readline())
        collector, health_port = start(name, tree, port)
        health: list[float] = []
        rss: list[float] = []
        ended = threading.Event()
        watcher = threading.Thread(target=watch, args=(collector.pid, health_port, rss, health, ended))
        watcher.start()
        sent, began = load.stdout.readline().split()
        _, _, usage = os.wait4(collector.pid, 0)
        elapsed = time.monotonic() - float(began)
        ended.set()
        watcher.join()
        load.wait()
        lines = sum(file.read_bytes().count(b"\n") for file in tree.rglob("*.jsonl") if ".ledger" not in file.name)
        if lines != int(sent):
            sys.exit(f"{name}: {sent} messages sent, {lines} lines written")
        cpu = usage.ru_utime + usage.ru_stime
        return Round(lines / elapsed, cpu / lines * 1e6, (rss[len(rss) // 2], rss[-1]), health)


def start(name: str, tree: Path, port: int) -> tuple[subprocess.Popen[bytes], int]:
    if name == "naive":
        command = [sys.executable, HERE / "naive.py", f"ws://127.0.0.1:{port}/", tree / "naive.jsonl"]
        return subprocess.Popen(command, cwd=ROOT), 0
    metadata(tree, port)
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    health_port = 18080
    return subprocess.Popen(
        [sys.executable, "-m", "ssmd", "run", "bench", "--config-dir", tree, "--listen", f"127.0.0.1:{health_port}"],
        cwd=ROOT,
        env=os.environ | {"BENCH_KEY": "bench", "BENCH_SECRET": key, "SSMD_LOG_LEVEL": "error"},
        stderr=subprocess.DEVNULL,
    ), health_port


def watch(pid: int, port: int, rss: list[float], health: list[float], ended: threading.Event) -> None:
    while not ended.wait(0.05):
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        if pages:
            rss.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        if port:
            began = time.monotonic()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read()
            except OSError:
                continue  # Not listening yet, or no longer.
            health.append((time.monotonic() - began) * 1e3)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    results: dict[str, list[Round]] = {"naive": [], "ssmd": []}
    for _ in range(rounds):
        for name, done in results.items():
            done.append(run_round(name, seconds))
    medians = {name: statistics.median(one.rate for one in done) for name, done in results.items()}
    for name, done in results.items():
        cpu = statistics.median(one.cpu_us for one in done)
        middle, end = (statistics.median(one.rss_mb[index] for one in done) for index in (0, 1))
        print(f"{name:<6} {medians[name]:>12,.0f} msg/s {cpu:>7.2f} us CPU/msg   RSS {middle:.0f} -> {end:.0f} MB")
    health = sorted(value for one in results["ssmd"] for value in one.health_ms)
    print(
        f"/health at saturation: median {statistics.median(health):.1f} ms, worst {health[-1]:.1f} ms of {len(health)}"
    )
    ratio = medians["ssmd"] / medians["naive"]
    print(f"ratio: {ratio:.1f} (goal: {GOAL})")
    sys.exit(ratio < GOAL)


if __name__ == "__main__":
    main()
