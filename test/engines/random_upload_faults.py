"""Random faults for a collector that uploads to a bucket, then the proof that the bucket has what was recorded.

    random_upload_faults.py [--faults <n>] [--seed <n>] [--format jsonl.zst|parquet]

The uploader, the collector and the server are killed, frozen and restarted, while days are waiting to be uploaded and
today's lines come in. Meanwhile no day may look complete that is not, and no object may change. Afterwards every sealed
day must be there, byte for byte, and the lines of today in segments. The same seed makes the same faults, not the same
moments.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

sys.path[1:1] = [str(folder) for folder in Path(__file__).parents[1:3]]

from s3_runs import FEED, Site  # noqa: E402
from s3_server import S3Server  # noqa: E402
from ship_runs import relay_below, wait_until  # noqa: E402

from ssmd.errors import EngineError  # noqa: E402
from ssmd.store.timestamps import day_of_ns  # noqa: E402

T = TypeVar("T")

RATE = 500
"""Messages a second."""
FIRST_DAY = date(2026, 1, 1)
UP_SECONDS = 90.0
"""More than the longest pause of an uploader."""


def patiently(work: Callable[[], T]) -> T:
    """Return what it returns. A server that has just been started answers with errors for a while."""
    until = time.monotonic() + UP_SECONDS
    while True:
        try:
            return work()
        except EngineError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


class Faults:
    """A collector whose storage is in a bucket, and what happens to them."""

    def __init__(self, folder: Path, form: str) -> None:
        self.server = S3Server(folder)
        (folder / "site").mkdir()
        endpoint = f"sim://kalshi?rate={RATE}"
        self.site = Site(folder / "site", self.server, endpoint, live_seconds=1, format=form)
        self.days = 0
        self.known: dict[str, str] = {}
        """The SHA-256 of each object that was seen."""
        self.add_days()
        self.start()

    def add_days(self) -> None:
        """Record and seal some days."""
        for _ in range(3):
            day = (FIRST_DAY + timedelta(self.days)).isoformat()
            self.days += 1
            self.site.write(day, random.randrange(1, 20_000))
        self.site.seal()

    def start(self) -> None:
        self.collector = self.site.collect()
        self.collector.start_up()

    def possible(self) -> dict[str, Callable[[], None]]:
        return {
            "uploader killed": self._uploader_killed,
            "uploader killed soon": self._uploader_killed_soon,
            "uploader frozen": self._uploader_frozen,
            "collector killed": self._collector_killed,
            "collector restarted": self._collector_restarted,
            "today lost": self._today_lost,
            "server killed": self._server_killed,
            "server frozen": self._server_frozen,
            "days added": self.add_days,
        }

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # It may have ended meanwhile.
            if (pid := relay_below(self.collector.process.pid)) is not None:
                os.kill(pid, number)

    def _uploader_killed(self) -> None:
        self._send(signal.SIGKILL)

    def _uploader_killed_soon(self) -> None:
        """Kill it just when it has begun to work."""
        self._send(signal.SIGKILL)
        pid = self.collector.process.pid
        wait_until(lambda: relay_below(pid) is not None, UP_SECONDS)
        time.sleep(random.uniform(0.5, 3))
        self._send(signal.SIGKILL)

    def _uploader_frozen(self) -> None:
        self._send(signal.SIGSTOP)
        time.sleep(random.uniform(0, 3))
        self._send(signal.SIGCONT)

    def _collector_killed(self) -> None:
        self.collector.process.kill()
        self.collector.wait()
        self.start()

    def _collector_restarted(self) -> None:
        self._end_collector()
        self.start()

    def _end_collector(self) -> None:
        assert self.collector.end() == 0, (self.collector.events[-5:], self.collector.other)

    def _today_lost(self) -> None:
        """Lose what the host has of today: the next run begins with what the bucket has."""
        uploader = relay_below(self.collector.process.pid)
        self.collector.process.kill()
        self.collector.wait()
        if uploader is not None:
            with suppress(ProcessLookupError):
                os.kill(uploader, signal.SIGKILL)
        shutil.rmtree(self.site.data / day_of_ns(time.time_ns()), ignore_errors=True)  # It may be lost already.
        self.start()

    def _server_killed(self) -> None:
        self.server.kill()
        time.sleep(random.uniform(0, 2))
        self.server.start()

    def _server_frozen(self) -> None:
        self.server.freeze()
        time.sleep(random.uniform(0, 3))
        self.server.thaw()

    def wrong_now(self) -> list[str]:
        """Return what is wrong with what the bucket has so far."""
        return patiently(self._wrong_now)

    def _wrong_now(self) -> list[str]:
        wrong = []
        for (day, stem), lines in self.site.complete_days().items():
            if lines != (self.site.data / day / f"{stem}.jsonl").read_bytes():
                wrong.append(f"{day}/{stem} looks complete, and is not")
        for found in list(self.site.bucket.list()):
            if "/live/" in found.name:
                continue
            digest = hashlib.sha256(self.site.bucket.get(found.name)).hexdigest()
            if self.known.setdefault(found.name, digest) != digest:
                wrong.append(f"{found.name} has changed")
        return wrong

    def finish(self) -> list[str]:
        """End the collector, upload the rest, and return what is wrong then."""
        self._end_collector()
        until = time.monotonic() + UP_SECONDS
        while (ended := self.site.ship("--once")).returncode == 69:  # The server may need a while after its last start.
            assert time.monotonic() < until, ended.stderr
            time.sleep(1)
        if ended.returncode:
            return [ended.stderr]
        wrong = self.wrong_now() + patiently(self.site.differences)
        today = day_of_ns(time.time_ns())
        lines, ledger = patiently(lambda: self.site.live(today))
        if lines != (self.site.data / today / f"{FEED}.jsonl").read_bytes():
            wrong.append("the segments do not have the lines of today")
        if not (self.site.data / today / f"{FEED}.ledger.jsonl").read_bytes().startswith(ledger):
            wrong.append("the segments do not have the ledger of today")
        return wrong

    def close(self) -> None:
        if self.collector.process.poll() is None:
            self.collector.process.kill()
            self.collector.wait()
        self.server.kill()


def run(folder: Path, form: str, count: int) -> list[str]:
    """Let faults happen; return what is wrong then."""
    faults = Faults(folder, form)
    try:
        possible = faults.possible()
        for number in range(count):
            fault = random.choice(list(possible))
            print(f"{number + 1}/{count} {fault}", flush=True)
            possible[fault]()
            time.sleep(random.choice((0, 0.3, 3)) * random.random())
            if random.random() < 0.2 and (wrong := faults.wrong_now()):
                return wrong
        wrong = faults.finish()
        print(f"{faults.days} days, {len(faults.known)} objects, {count} faults", flush=True)
        return wrong
    finally:
        faults.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--faults", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--format", choices=("jsonl.zst", "parquet"), default="jsonl.zst")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        wrong = run(Path(folder), options.format, options.faults)
    print("\n".join(wrong) or "the bucket has what was recorded")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
