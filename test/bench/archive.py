"""How fast recorded data is read: a made-up day of Kalshi lines, sealed, verified, read by cat, and replayed.

Prints megabytes of JSONL per second of the command's own CPU time, start-up included, and the messages that a replay
sends per second, without its start-up: the best of several runs. Each line has a time of its own, as if every read had
brought one message: the slowest case. Checkouts are measured in turn, on the same lines, so that other load on the
machine affects all of them alike.
"""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import zstandard

from bench.collector import ROOT
from bench.days import DAYS, measure_days
from bench.messages import TICKERS, Cycle
from bench.replay import replay
from ssmd.store.ledger import CONNECTED, STARTED, STOPPED, Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import DAY_NS, day_of_ns

__all__ = ["GOAL", "GOALS", "main"]

GOAL = 200.0
"""Megabytes a second that verify and a plain cat should reach."""

REPLAY = "replay --speed 0"
GOALS = {"verify": 1.15, "cat": 1.3, REPLAY: 3.0}
"""How many times as fast as 0.1.0 (--beside) they should be, with a plain day."""

ROUNDS = 5
REPLAYED_MB = 60
"""Size of the day that is replayed, at most."""
LINE_BYTES = 320
DAY = "2026-01-01"
BEGIN_NS = 1_767_225_600_000_000_000
PLAIN = "jsonl"
CATS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cat", ()),
    ("cat --from --to, an hour", ("--from", f"{DAY}T12:00", "--to", f"{DAY}T13:00")),
    ("cat --type trade", ("--type", "trade")),
    ("cat --market", ("--market", TICKERS[0])),
    ("cat --raw", ("--raw",)),
)


def make_day(root: Path, megabytes: float, begin_ns: int = BEGIN_NS) -> tuple[int, int]:
    """Make the same day in three storage folders: plain with its ledger, zst and gz. Return its bytes and lines."""
    folders = {form: root / form / day_of_ns(begin_ns) for form in (PLAIN, "jsonl.zst", "jsonl.gz")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    cycle, encoder = Cycle(), LineEncoder("kalshi")
    count = int(megabytes * 1e6 / LINE_BYTES)
    with (
        open(folders["jsonl"] / "kalshi.jsonl", "wb") as plain,
        open(folders["jsonl.zst"] / "kalshi.jsonl.zst", "wb") as file,
        zstandard.ZstdCompressor(level=9).stream_writer(file) as packed,
        gzip.open(folders["jsonl.gz"] / "kalshi.jsonl.gz", "wb", compresslevel=1) as zipped,
    ):
        for number in range(count):
            line = encoder.encode(begin_ns + number * DAY_NS // count, [cycle.text(number)], True)
            for form in (plain, packed, zipped):
                form.write(line)
        size = plain.tell()
    last_ns = begin_ns + DAY_NS - 1
    entries = [
        Entry(begin_ns, STARTED, 0, 0, {"version": "bench", "exchange": "kalshi"}),
        Entry(begin_ns, CONNECTED, 0, 0, {}),
        Entry(last_ns, STOPPED, size, count, {"reason": "end", "lines": count, "bytes": size}),
    ]
    (folders["jsonl"] / "kalshi.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    return size, count


class Row(NamedTuple):
    """A command that is measured."""

    name: str
    where: str
    """The storage folder, below that of the checkout."""
    size: int
    """What it reads: the bytes of lines, or the messages of a replay."""
    options: tuple[str, ...] = ()
    once: bool = False
    unit: str = "MB/s of CPU"

    def measure(self, environ: Mapping[str, str], root: Path) -> tuple[float, float]:
        """Return the speed, in the unit, and the seconds of one run."""
        if self.name == REPLAY:
            seconds = replay(environ, root / self.where)
            return self.size / seconds, seconds
        cpu, seconds = run(environ, self.name.split()[0], *self.options, root / self.where)
        return self.size / cpu / 1e6, seconds


def rows(root: Path, megabytes: float) -> Iterator[Row]:
    """Make the days below `root`, and yield what is measured of them."""
    size, _ = make_day(root, megabytes)
    _, lines = make_day(root / "small", min(megabytes, REPLAYED_MB))
    yield Row("seal", PLAIN, size, once=True)  # A sealed day is not sealed again.
    yield Row("verify", PLAIN, size)
    for form, (name, options) in itertools.product((PLAIN, "jsonl.zst", "jsonl.gz"), CATS):
        yield Row(name, form, size, options)
    yield Row(REPLAY, f"small/{PLAIN}", lines, unit="messages/s")


def run(environ: Mapping[str, str], *arguments: str | Path) -> tuple[float, float]:
    """Run one command without its output; return its CPU seconds and its seconds. Exits when it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ssmd", *map(str, arguments)],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if process.returncode:
            sys.exit(f"bench: {arguments[0]} has failed: {errors.read().decode()}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began


def main(folder: Path, megabytes: float, others: Sequence[Path] = ()) -> int:
    """Measure this checkout and the others, below the folder; with others, also print which goals are reached.

    Returns the exit code: 1 when verify or a plain cat of this checkout is slower than GOAL.
    """
    checkouts = [ROOT, *(other.resolve() for other in others)]
    slow = False
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-", dir=folder) as scratch:
        # Each checkout has storage folders of its own: it seals the day for itself, because manifests differ.
        roots = [Path(scratch, str(number)) for number in range(len(checkouts))]
        measured = list(rows(roots[0], megabytes))
        for root in roots[1:]:
            link_files(roots[0], root)
        environs = list(map(environ_of, checkouts))
        for row in measured:
            best = measure(row, environs, roots)
            for (speed, seconds), checkout in zip(best, checkouts, strict=True):
                ratio = f"  {speed / best[-1][0]:5.2f}  {checkout}" if others else ""
                form = Path(row.where).name
                print(f"{row.name:<25} {form:<10} {speed:9,.0f} {row.unit:<11} {seconds:6.2f} s{ratio}", flush=True)
            if row.where.endswith(PLAIN) and row.name in GOALS:
                slow = slow or (row.name != REPLAY and best[0][0] < GOAL)
                ratios[row.name] = best[0][0] / best[-1][0]
        for number in range(DAYS):
            make_day(Path(scratch), megabytes / 2, BEGIN_NS + number * DAY_NS)
        measure_days(Path(scratch, PLAIN), environs[0], run)
    for name, times in ratios.items() if others else ():
        reached = "reached" if times >= GOALS[name] else "NOT reached"
        print(f"goal: {name} of a plain day at least {GOALS[name]:g} times the other checkout: {times:.2f}, {reached}")
    return int(slow)


def measure(
    row: Row, environs: Sequence[Mapping[str, str]], roots: Sequence[Path]
) -> list[tuple[float, float]]:
    """Return the highest speed of each checkout, with the seconds of that run; the checkouts take turns."""
    found: list[list[tuple[float, float]]] = [[] for _ in roots]
    for _ in range(1 if row.once else ROUNDS):
        for each, environ, root in zip(found, environs, roots, strict=True):
            each.append(row.measure(environ, root))
    return list(map(max, found))


def link_files(source: Path, target: Path) -> None:
    """Give the target folder the same files, as hard links."""
    for file in source.rglob("*"):
        if file.is_file():
            link = target / file.relative_to(source)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, link)


def environ_of(checkout: Path) -> Mapping[str, str]:
    """Return the environment of a checkout's commands, whose modules are then compiled, as after an installation."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ = kept | {"PYTHONPATH": str(checkout)}
    subprocess.run([sys.executable, "-P", "-m", "compileall", "-q", checkout / "ssmd"], env=environ, check=True)
    return environ
