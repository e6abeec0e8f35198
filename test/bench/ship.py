"""What shipping costs a collector, how late a consumer is, and how fast the relay catches up.

    bin/bench --ship [--size=<MB>] [--seconds=<s>] [--rounds=<n>] [--only=<engines>]

First the real `ssmd run` collects at 1,000 and at 10,000 messages a second, without an engine and with each, in turn:
the CPU time of the collector itself and of its relay, the collector's own p99, and how long after its receipt a
consumer gets a message. Then `ssmd ship --once` catches up with a day of --size MB (500), in turn with a program that
sends as many messages from memory with the bare library. The tables have medians of --rounds (3).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gevent.monkey import get_original
from kafka_broker import Broker
from nats_server import NatsServer

from bench.collector import Probes, Ssmd, environ, write_tree
from bench.load import Load, kill
from bench.markdown import table
from bench.measure import Bench, Result
from bench.messages import Cycle
from ssmd.store.ledger import CONNECTED, STARTED, STOPPED, Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import DAY_NS

__all__ = ["ENGINES", "RATES", "CaughtUp", "Latency", "catch_up", "main", "while_collecting"]

ENGINES = ("nats", "kafka")
RATES = (1_000, 10_000)
LINE_BYTES = 320
DAY, BEGIN_NS = "2026-01-01", 1_767_225_600_000_000_000
NAME = "bench.bench"
"""The prefix of the subjects, and the topic."""
MOST_SECONDS = 600.0


class Engine:
    """A server with an empty stream or topic."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        if kind == "nats":
            self._server: NatsServer | Broker = NatsServer(folder)
            self._server.create("bench", subjects=[f"{NAME}.>"])
        else:
            folder.mkdir()
            self._server = Broker(folder)
            for topic in (NAME, f"{NAME}.position"):
                self._server.create(topic)
        self.url = self._server.url

    def transport(self, start: str) -> str:
        """Return the section of an environment."""
        own = "stream: bench, " if self.kind == "nats" else ""
        return f"transport: {{type: {self.kind}, url: '{self.url}', {own}start: {start}}}\n"

    def kill(self) -> None:
        self._server.kill()


@contextmanager
def engine_of(kind: str, folder: Path) -> Iterator[Engine]:
    """An engine of its own, whose files are removed at the end."""
    with tempfile.TemporaryDirectory(prefix=kind, dir=folder, ignore_cleanup_errors=True) as scratch:
        engine = Engine(kind, Path(scratch) / "engine")
        try:
            yield engine
        finally:
            engine.kill()


class Shipping(Ssmd):
    """ssmd with a relay as its companion."""

    def __init__(self, engine: Engine) -> None:
        self.name = f"ssmd, {engine.kind}"
        self._engine = engine

    def write_tree(self, folder: Path, endpoint: str) -> None:
        write_tree(folder, endpoint, {}, self._engine.transport("today"))

    def begin(self, probes: Probes) -> None:
        """Wait for the relay, which starts after the collection."""
        _await(lambda: probes.shipped() is not None)

    def finish(self, probes: Probes, messages: int) -> None:
        _await(lambda: (probes.shipped() or 0) >= messages)


def _await(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + MOST_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"nothing was shipped for {MOST_SECONDS:g} s")
        time.sleep(0.1)


class Latency(NamedTuple):
    """A run of a collector."""

    result: Result
    consumer: dict[str, float]
    """`messages`, and the latencies `p50`, `p99` and `p99.9` from receipt to consumer, in ms; empty without engine."""


def while_collecting(bench: Bench, kind: str, rate: float, seconds: float) -> Latency:
    """Measure a collector without an engine when `kind` is empty, and otherwise with a relay and a consumer."""
    if not kind:
        return Latency(bench.run(Ssmd(), Load(rate=rate), seconds), {})
    with engine_of(kind, bench.scratch) as engine:
        consumer = program("consumer", kind, engine.url, NAME, stdin=subprocess.PIPE)
        try:
            if consumer.stdout.readline() != b"ready\n":
                raise RuntimeError("the consumer has ended")
            result = bench.run(Shipping(engine), Load(rate=rate), seconds)
            printed, _ = consumer.communicate(timeout=MOST_SECONDS)  # Closes its standard input.
        finally:
            kill(consumer)
    return Latency(result, json.loads(printed))


class CaughtUp(NamedTuple):
    """How fast messages were sent."""

    rate: float
    """Messages a second."""
    cpu_us: float
    """CPU microseconds a message, of the sender alone."""
    memory_mb: float = float("nan")
    """The highest resident memory."""


def catch_up(kind: str, folder: Path, day: Path, messages: int) -> tuple[CaughtUp, CaughtUp]:
    """Ship a day, and then send as many messages with the bare library; return the figures of both."""
    with engine_of(kind, folder) as engine:
        shipped = ship(engine, folder, day, messages)
    with engine_of(kind, folder) as engine:
        sender = program("bare", kind, engine.url, NAME, str(messages))
        printed, _ = sender.communicate(timeout=MOST_SECONDS)
        if sender.returncode:
            raise RuntimeError(f"the program with the library of {kind} has failed")
    return shipped, CaughtUp(*map(float, printed.split()))


def ship(engine: Engine, folder: Path, day: Path, messages: int) -> CaughtUp:
    """Let `ssmd ship --once` ship a day; its start is part of the time. Raises RuntimeError when it fails."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tree = Path(scratch)
        write_tree(tree, "wss://127.0.0.1:1/trade-api/ws/v2", {}, engine.transport("oldest"))
        (tree / "data").mkdir()
        (tree / "data" / DAY).symlink_to(day)
        command = [sys.executable, "-P", "-m", "ssmd", "ship", "bench", "--config-dir", str(tree), "--once"]
        with open(tree / "log", "wb") as log:
            began = time.monotonic()
            relay = subprocess.Popen(command, env=environ(), stderr=log)
            memory_mb = _peak_mb(relay.pid)
            _, status, used = os.wait4(relay.pid, 0)
            seconds = time.monotonic() - began
        relay.returncode = os.waitstatus_to_exitcode(status)
        if relay.returncode:
            raise RuntimeError(f"ssmd ship has ended with {relay.returncode}: {(tree / 'log').read_text()[-1000:]}")
    cpu_us = (used.ru_utime + used.ru_stime) / messages * 1e6
    return CaughtUp(messages / seconds, cpu_us, memory_mb)


def _peak_mb(pid: int) -> float:
    """Return the highest resident memory of a process, when it has ended: what the system says of it afterwards has the
    memory of this program in it, from before the child became another program.
    """
    peak = float("nan")
    sleep = get_original("time", "sleep")  # gevent's own would let it take the child's exit code.
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        peak = int(found[1]) * 1024 / 1e6 if found else peak
        sleep(0.01)
    return peak


def make_day(folder: Path, messages: int) -> Path:
    """Make a day of the feed `bench`; return its folder."""
    day = folder / DAY
    day.mkdir()
    cycle, encoder = Cycle(), LineEncoder("bench")
    with open(day / "bench.jsonl", "wb") as file:
        for number in range(messages):
            file.write(encoder.encode(BEGIN_NS + number * DAY_NS // messages, [cycle.text(number)], True))
        size = file.tell()
    entries = [
        Entry(BEGIN_NS, STARTED, 0, 0, {"version": "bench", "exchange": "kalshi"}),
        Entry(BEGIN_NS, CONNECTED, 0, 0, {}),
        Entry(BEGIN_NS + DAY_NS - 1, STOPPED, size, messages, {"reason": "end", "lines": messages, "bytes": size}),
    ]
    (day / "bench.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    return day


def program(name: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a module beside this one as a process of its own."""
    command = [sys.executable, "-P", "-m", f"bench.{name}", *arguments]
    return subprocess.Popen(command, env=environ(), stdout=subprocess.PIPE, start_new_session=True, **options)


def collecting_table(bench: Bench, engines: Sequence[str], seconds: float, rounds: int) -> str:
    header = ["msg/s", "engine", "CPU %", "relay's CPU %", "p99 ms", "consumer p50 ms", "consumer p99 ms", "missing"]
    rows = []
    for rate in RATES:
        found: dict[str, list[Latency]] = {kind: [] for kind in ("", *engines)}
        for _ in range(rounds):
            for kind, runs in found.items():
                runs.append(while_collecting(bench, kind, rate, seconds))
        for kind, runs in found.items():
            own = [run.result.own_percent for run in runs]
            relay = [run.result.cpu_percent - run.result.own_percent for run in runs]
            p99 = [run.result.latency_ms[1] for run in runs]
            cells = [f"{rate:,}", kind or "none", *(f"{statistics.median(of):.1f}" for of in (own, relay, p99))]
            if kind:
                missing = sum(run.result.messages - round(run.consumer["messages"]) for run in runs)
                late = [[run.consumer[name] for run in runs] for name in ("p50", "p99")]
                cells += [*(f"{statistics.median(of):.1f}" for of in late), f"{missing:,}"]
            rows.append(cells + [""] * (len(header) - len(cells)))
    return "### Shipping while collecting\n\n" + table(header, rows)


def catching_table(folder: Path, engines: Sequence[str], megabytes: float, rounds: int) -> str:
    messages = int(megabytes * 1e6 / LINE_BYTES)
    header = ["engine", "messages", "ssmd, msg/s", "library, msg/s", "ratio", "spread", "CPU us/msg", "memory MB"]
    rows = []
    day = make_day(folder, messages)
    found: dict[str, list[tuple[CaughtUp, CaughtUp]]] = {kind: [] for kind in engines}
    for _ in range(rounds):
        for kind, runs in found.items():
            runs.append(catch_up(kind, folder, day, messages))
    for kind, runs in found.items():
        ratios = [ours.rate / bare.rate for ours, bare in runs]
        rates = [statistics.median(run[index].rate for run in runs) for index in range(2)]
        spread = (max(ratios) - min(ratios)) / statistics.median(ratios)
        rows.append([
            kind, f"{messages:,}", *(f"{rate:,.0f}" for rate in rates), f"{statistics.median(ratios):.2f}",
            f"{spread:.0%}", f"{statistics.median(ours.cpu_us for ours, _ in runs):.1f}",
            f"{max(ours.memory_mb for ours, _ in runs):.0f}",
        ])  # fmt: skip
    shutil.rmtree(day)
    return "### Catching up\n\n" + table(header, rows)


def main(folder: Path, megabytes: float, seconds: float, rounds: int, only: Sequence[str]) -> int:
    """Measure and print the tables; return the exit code."""
    engines = [kind for kind in ENGINES if any(name in kind for name in only)]
    with Bench(folder) as bench:
        print(collecting_table(bench, engines, seconds, rounds), end="\n\n", flush=True)
        print(catching_table(bench.scratch, engines, megabytes, rounds), flush=True)
    return 0
