"""How fast `ssmd cat` is: a made-up day of order book messages, read in every way, as plain lines and compressed.

    python test/bench/cat.py [<megabytes>]

Prints megabytes of JSONL a second of the process's own CPU time, start-up included, and its memory at the most.
By default the day has 1,000 MB and is made in a temporary folder, which takes a while and as much disk.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from ssmd.archive.ledger import STARTED, Entry, encode_entry
from ssmd.envelope import LineEncoder

NS = 1_790_000_000_000_000_000 // 86_400_000_000_000 * 86_400_000_000_000
RUNS = (
    ("as it is", []),
    ("--from --to (an hour)", ["--from", "2026-09-21T12:00", "--to", "2026-09-21T13:00"]),
    ("--type orderbook_delta", ["--type", "orderbook_delta"]),
    ("--type trade", ["--type", "trade"]),
    ("--market KXBENCH-07", ["--market", "KXBENCH-07"]),
    ("--raw", ["--raw"]),
)


def make_lines(count: int) -> Iterator[bytes]:
    """Messages of Kalshi's form, one in 50 a trade, spread evenly over the day's 86,400 s."""
    pick = random.Random(1)
    encoder = LineEncoder("kalshi")
    for n in range(count):
        ticker = f"KXBENCH-{pick.randrange(100):02}"
        msg = {"market_ticker": ticker, "market_id": f"{n % 100:08x}-0000-4000-8000-{pick.getrandbits(48):012x}"}
        if n % 50:
            msg |= {"price_dollars": f"0.{pick.randrange(100):02}00", "delta_fp": "-40.00", "side": "yes"}
            msg |= {"ts": "2026-09-21T00:00:00.000000Z", "ts_ms": 1_790_000_000_000 + n}
        else:
            msg |= {"yes_price_dollars": "0.4800", "count_fp": "100.00", "taker_side": "no"}
        message = {"type": "orderbook_delta" if n % 50 else "trade", "sid": 1 + (n % 50 == 0), "seq": n, "msg": msg}
        ns = NS + n * 86_400_000_000_000 // count
        yield encoder.encode(ns, [json.dumps(message, separators=(",", ":")).encode()])


def make_day(root: Path, megabytes: int) -> int:
    """The same day in three storage folders, plain, zst and gz; return the bytes of the plain one.

    Line by line: the memory of this process would count as that of those it starts.
    """
    folders = {form: root / form / "2026-09-21" for form in ("jsonl", "jsonl.zst", "jsonl.gz")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    (folders["jsonl"] / "kalshi.ledger.jsonl").write_bytes(encode_entry(Entry(NS, STARTED, 0, 0, {})))
    with (
        open(folders["jsonl"] / "kalshi.jsonl", "wb") as plain,
        open(folders["jsonl.zst"] / "kalshi.jsonl.zst", "wb") as file,
        zstandard.ZstdCompressor(level=9).stream_writer(file) as packed,
        gzip.open(folders["jsonl.gz"] / "kalshi.jsonl.gz", "wb", compresslevel=1) as zipped,
    ):
        for line in make_lines(megabytes * 1_000_000 // 320):
            plain.write(line)
            packed.write(line)
            zipped.write(line)
        return plain.tell()


def run(*arguments: str | Path) -> tuple[float, float, float]:
    """CPU seconds, seconds and megabytes of memory of one `ssmd cat`, its output thrown away."""
    began = time.monotonic()
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen([sys.executable, "-m", "ssmd", "cat", *map(str, arguments)], stdout=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent.parent)
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-") as scratch:
        size = make_day(Path(scratch), megabytes)
        for form in ("jsonl", "jsonl.zst", "jsonl.gz"):
            for name, options in RUNS:
                cpu, wall, memory = min(run(*options, Path(scratch) / form) for _ in range(3))
                print(
                    f"{form:<10} {name:<24} {size / cpu / 1e6:8,.0f} MB/s of CPU  {wall:6.2f} s  {memory:5.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
