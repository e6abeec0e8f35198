"""`ssmd cat --follow`: what is recorded while it runs, over midnight, of several feeds, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue

import pytest
from patience import PATIENCE
from process import ROOT, Collector

from ssmd.store.line import LineEncoder

SECOND = 10**9
pytestmark = pytest.mark.one_day  # A feed that is new is looked for in the folder of the day that it is.


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def message(market: str, number: int, type: str = "trade") -> bytes:
    return b'{"type":"%b","sid":1,"seq":%d,"msg":{"market_ticker":"%b"}}' % (type.encode(), number, market.encode())


def add(storage: Path, feed: str, second: float, *messages: bytes, days: int = 0) -> list[bytes]:
    """Record messages of today, or of a day after it, which are received a ms apart; return their lines."""
    folder = storage / f"{today() + timedelta(days):%Y-%m-%d}"
    folder.mkdir(exist_ok=True, parents=True)
    encoder = LineEncoder(feed.partition("+")[0])
    at = int(today().timestamp()) * SECOND + days * 86_400 * SECOND + int(second * SECOND)
    lines = [encoder.encode(at + number * 1_000_000, [each]) for number, each in enumerate(messages)]
    with open(folder / f"{feed}.jsonl", "ab") as file:
        file.write(b"".join(lines))
    return lines


class Following:
    """A running `ssmd cat --follow`, whose lines are read."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ssmd", "cat", "--follow", *map(str, arguments)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def line(self) -> bytes:
        return self.process.stdout.readline()

    def lines(self, count: int) -> list[bytes]:
        return [self.line() for _ in range(count)]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, bytes, str]:
        """Send a signal; return the exit code, the rest of its output and what it says on stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err.decode()


@contextmanager
def following(*arguments: str | Path) -> Iterator[Following]:
    running = Following(*arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        running.process.stdout.close()
        running.process.stderr.close()


def await_begin(running: Following, storage: Path, feed: str = "a") -> None:
    """Return when what is recorded is followed: lines that were recorded before are not printed."""
    found: Queue[bytes] = Queue()
    reading = threading.Thread(target=lambda: found.put(running.line()))
    reading.start()
    number = 0
    while found.empty():
        add(storage, feed, 1 + number, message("BEGIN", number))
        number += 1
        reading.join(0.2)
    # Those that were recorded after the one that was seen.
    for _ in range(number - 1 - json.loads(found.get())["data"]["seq"]):
        running.line()


def test_new_lines_come_as_they_are_recorded_and_over_midnight(tmp_path):
    add(tmp_path, "a", 0, message("OLD", 0))
    with following(tmp_path) as running:
        await_begin(running, tmp_path)
        new = add(tmp_path, "a", 5000, message("M", 1), message("M", 2))
        assert running.lines(2) == new
        new = add(tmp_path, "a", 0, message("M", 3), days=1)
        assert running.lines(1) == new
        assert running.end() == (0, b"", "")


def test_a_feed_that_begins_later_is_followed_too(tmp_path):
    add(tmp_path, "a", 0, message("OLD", 0))
    with following(tmp_path) as running:
        await_begin(running, tmp_path)
        new = add(tmp_path, "b", 5000, message("M", 1))
        assert running.lines(1) == new


def test_from_a_time_on_lines_of_all_feeds_and_shards_are_merged(tmp_path):
    lines = [
        *add(tmp_path, "a", 10, message("M", 1)),
        *add(tmp_path, "a+1of2", 11, message("M", 2)),
        *add(tmp_path, "a+2of2", 12, message("M", 3)),
        *add(tmp_path, "b", 13, message("M", 4)),
        *add(tmp_path, "a+1of2", 14, message("M", 5)),
        *add(tmp_path, "a", 15, message("M", 6)),
    ]
    begin = f"{today() + timedelta(seconds=11):%Y-%m-%dT%H:%M:%S}"
    with following("--from", begin, tmp_path) as running:
        assert running.lines(5) == lines[1:]
        new = add(tmp_path, "b", 16, message("M", 7))
        assert running.lines(1) == new
        assert running.end(signal.SIGINT) == (0, b"", "")


def test_the_filters_are_those_of_cat(tmp_path):
    begin = f"{today():%Y-%m-%d}"
    wanted = message("A", 1)
    add(tmp_path, "a", 10, message("B", 1), wanted, message("A", 2, "ticker"), b"{broken")
    add(tmp_path, "b", 10, message("A", 3))
    options = ("--from", begin, "--type", "trade", "--market", "A", "--feed", "a", "--raw")
    with following(*options, tmp_path) as running:
        assert running.line() == wanted + b"\n"
        add(tmp_path, "a", 20, message("B", 4), message("A", 5))
        assert running.line() == message("A", 5) + b"\n"
        assert running.end() == (0, b"", "")


def test_a_line_that_ssmd_did_not_write_is_reported_and_left_out(tmp_path):
    add(tmp_path, "a", 10, message("A", 1))
    path = tmp_path / f"{today():%Y-%m-%d}" / "a.jsonl"
    with open(path, "ab") as file:
        file.write(b"nonsense\n")
    add(tmp_path, "a", 11, message("A", 2))
    with following("--from", f"{today():%Y-%m-%d}", "--raw", tmp_path) as running:
        assert running.lines(2) == [message("A", number) + b"\n" for number in (1, 2)]
        assert running.end() == (65, b"", f"ssmd: {path}:2: not a line of ssmd, left out\n")


def test_it_ends_when_nobody_reads_although_no_line_comes(tmp_path):
    add(tmp_path, "a", 10, message("A", 1))
    with following("--from", f"{today():%Y-%m-%d}", tmp_path) as running:
        running.line()
        running.process.stdout.close()
        assert running.process.wait(timeout=PATIENCE) == 141
        assert running.process.stderr.read() == b""


def test_a_signal_ends_it_also_while_nobody_takes_what_it_prints(tmp_path):
    messages = [message("A", number) for number in range(5000)]
    add(tmp_path, "a", 10, *messages)
    with following("--from", f"{today():%Y-%m-%d}", tmp_path) as running:
        running.line()  # The rest is more than a pipe takes.
        running.process.terminate()
        assert running.process.wait(timeout=PATIENCE) == 0


def test_a_real_collector(tmp_path):
    with Collector(tmp_path, "sim://kalshi?rate=50", environment="subscribe: [{channels: [trade]}]\n") as collector:
        collector.start_up()
        collector.wait_for_lines(1)
        with following("--from", f"{today():%Y-%m-%d}", collector.data) as running:
            seen = running.lines(100)
            assert seen == [line + b"\n" for line in collector.lines()[:100]]
            assert running.end()[0] == 0
        assert collector.end() == 0


@pytest.mark.parametrize("place", ["s3://bucket/prefix", "missing", "2026-01-01", "file.jsonl"])
def test_only_a_storage_folder_can_be_followed(tmp_path, place):
    (tmp_path / "2026-01-01").mkdir()
    (tmp_path / "file.jsonl").touch()
    path = place if "://" in place else tmp_path / place
    with following(path) as running:
        out, err = running.process.communicate(timeout=PATIENCE)
    assert (running.process.returncode, out) == (64, b"")
    assert "--follow takes a storage folder, in which each day has a folder" in err.decode()
