"""How fast `ssmd verify` reads a sealed day back, and `ssmd seal` seals it.

    python test/bench/verify.py [<megabytes>] [<messages in a read>]

Makes a day of Kalshi lines, some 320 bytes each, by default 1,000 MB of them below TMPDIR with one message in
each socket read, the dearest case; seals it, and verifies it three times. Prints megabytes a second of CPU time and
of the clock. Exits with 1 when verify is slower than 200 MB a second of CPU time or finds something wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from load import chunk_template

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from ssmd.archive.ledger import CONNECTED, STARTED, STOPPED, Entry, encode_entry  # noqa: E402
from ssmd.envelope import LineEncoder  # noqa: E402

GOAL = 200.0
BEGIN_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
HEAD = 4  # Bytes of a WebSocket frame's header, which the template has before each message.


def make(folder: Path, megabytes: float, in_a_read: int) -> int:
    """A day of lines and its ledger; returns the bytes."""
    day = folder / "2026-01-01"
    day.mkdir()
    encoder = LineEncoder("kalshi")
    template = chunk_template()
    size = lines = 0
    with open(day / "kalshi.jsonl", "wb") as file:
        while size < megabytes * 1e6:
            frames = template % tuple([1_000_000_000 + (lines + index) // 4 for index in range(1000)])
            payloads = [part[HEAD - 4 :] for part in frames.split(b"\n")[:-1]]
            payloads = [payload[payload.index(b"{") :] for payload in payloads]
            for first in range(0, 1000, in_a_read):
                data = encoder.encode(BEGIN_NS + (lines + first) * 10_000, payloads[first : first + in_a_read], True)
                file.write(data)
                size += len(data)
            lines += 1000
    run = {"version": "bench", "exchange": "kalshi"}
    entries = [
        Entry(BEGIN_NS, STARTED, 0, 0, run),
        Entry(BEGIN_NS, CONNECTED, 0, 0, {}),
        Entry(BEGIN_NS + lines * 10_000, STOPPED, size, lines, {"reason": "end", "lines": lines, "bytes": size}),
    ]
    (day / "kalshi.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    return size


def timed(*arguments: object) -> tuple[float, float, int, str]:
    """CPU seconds, seconds, exit code and output of one command."""
    before, began = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ssmd", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - began, done.returncode, done.stdout + done.stderr


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1000.0
    in_a_read = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    best = 0.0
    with tempfile.TemporaryDirectory(prefix="ssmd-bench-") as scratch:
        size = make(Path(scratch), megabytes, in_a_read) / 1e6
        for command in ("seal", "verify", "verify", "verify"):
            cpu, seconds, code, told = timed(command, scratch)
            print(f"{command:<7} {size / cpu:>6.0f} MB/s of CPU time, {size / seconds:>6.0f} MB/s by the clock")
            if code:
                sys.exit(told)
            if command == "verify":
                best = max(best, size / cpu)
    print(f"verify: {best:.0f} MB/s (goal: {GOAL:.0f})")
    sys.exit(best < GOAL)


if __name__ == "__main__":
    main()
