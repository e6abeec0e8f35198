"""How fast recorded data is read: a made-up day of Kalshi lines, sealed, verified, and read by cat in several ways.

Prints megabytes of JSONL per second of the command's own CPU time, start-up included, of the best of three runs. Each
line has a time of its own, as if every read had brought one message: the slowest case.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import zstandard

from bench.collector import ROOT
from bench.messages import TICKERS, Cycle
from ssmd.store.ledger import CONNECTED, STARTED, STOPPED, Entry, encode_entry
from ssmd.store.line import LineEncoder

__all__ = ["GOAL", "main"]

GOAL = 200.0
"""Megabytes a second that verify and a plain cat should reach."""

RUNS = 3
LINE_BYTES = 320
DAY = "2026-01-01"
BEGIN_NS = 1_767_225_600_000_000_000
DAY_NS = 86_400_000_000_000
CATS: tuple[tuple[str, list[str]], ...] = (
    ("cat", []),
    ("cat --from --to, an hour", ["--from", f"{DAY}T12:00", "--to", f"{DAY}T13:00"]),
    ("cat --type trade", ["--type", "trade"]),
    ("cat --market", ["--market", TICKERS[0]]),
    ("cat --raw", ["--raw"]),
)


def make_day(root: Path, megabytes: float) -> int:
    """Make the same day in three storage folders: plain with its ledger, zst and gz. Return the plain one's bytes."""
    folders = {form: root / form / DAY for form in ("jsonl", "jsonl.zst", "jsonl.gz")}
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
            line = encoder.encode(BEGIN_NS + number * DAY_NS // count, [cycle.text(number)], True)
            for form in (plain, packed, zipped):
                form.write(line)
        size = plain.tell()
    last_ns = BEGIN_NS + DAY_NS - 1
    entries = [
        Entry(BEGIN_NS, STARTED, 0, 0, {"version": "bench", "exchange": "kalshi"}),
        Entry(BEGIN_NS, CONNECTED, 0, 0, {}),
        Entry(last_ns, STOPPED, size, count, {"reason": "end", "lines": count, "bytes": size}),
    ]
    (folders["jsonl"] / "kalshi.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    return size


def run(*arguments: str | Path) -> tuple[float, float]:
    """Run one command without its output; return its CPU seconds and its seconds. Exits when it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ssmd", *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
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


def main(folder: Path, megabytes: float) -> int:
    """Measure below the folder; return the exit code: 1 when verify or a plain cat is slower than GOAL."""
    slow = 0
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-", dir=folder) as scratch:
        size = make_day(Path(scratch), megabytes)
        commands: list[tuple[str, list[str], str]] = [("seal", [], "jsonl"), ("verify", [], "jsonl")]
        commands += [(name, options, form) for form in ("jsonl", "jsonl.zst", "jsonl.gz") for name, options in CATS]
        for name, options, form in commands:
            where = Path(scratch) / form
            rounds = 1 if name == "seal" else RUNS  # A sealed day is not sealed again.
            cpu, seconds = min(run(name.split()[0], *options, where) for _ in range(rounds))
            speed = size / cpu / 1e6
            print(f"{name:<25} {form:<10} {speed:8,.0f} MB/s of CPU  {seconds:6.2f} s", flush=True)
            slow |= name in ("verify", "cat") and form == "jsonl" and speed < GOAL
    return int(slow)
