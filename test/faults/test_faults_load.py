"""A feed at full speed, with probes and slow-loris clients at the same time, and its end in the middle.

The load lasts SSMD_LOAD_SECONDS, 10 by default. A minute needs about 15 GB in the folder of pytest's temporary files.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gevent
import pytest
from bench.load import START_SECONDS, Load, Source
from bench.messages import FIRST_SEQ
from process import Collector

pytestmark = pytest.mark.one_day(240)

LOAD_SECONDS = float(os.environ.get("SSMD_LOAD_SECONDS", "10"))
CROWD = 300
HEALTH_MS = 200
RSS_MAY_GROW_MB = 16
PEAK_MB = 200
SIDS = 4
_numbers = re.compile(rb'"data":\{"type":"[a-z_]+","sid":(\d),"seq":(\d{10}),.*\}$', re.MULTILINE).findall
_queued = re.compile(r"^ssmd_queue_bytes\{.*\} (\S+)$", re.MULTILINE).search


@contextmanager
def load_source(folder: Path) -> Iterator[tuple[Source, str]]:
    """Start a load source, in a process of its own; yield it and its endpoint."""
    source = Source(Load(sids=SIDS), folder / "watched", sender=None, certificate=folder)
    try:
        yield source, f"ws://127.0.0.1:{source.port}/trade-api/ws/v2"
    finally:
        source.kill()


def count_written(collector: Collector) -> int:
    """Check that the file has only whole lines and every number; remove the file, which is large.

    Returns the number of lines.
    """
    [file] = collector.data.glob("*/test.jsonl")
    lines = replies = 0
    rest = b""
    with open(file, "rb") as stream:
        while block := stream.read(8 << 20):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            numbers = _numbers(whole)
            if not lines:
                replies = whole.count(b'"type":"subscribed"')
            assert len(numbers) + (0 if lines else replies) == whole.count(b"\n") + len(newline)
            # Compared outside of the assertion: pytest would take minutes to explain a difference.
            right = numbers == [
                (b"%d" % (1 + n % SIDS), b"%d" % (FIRST_SEQ + n // SIDS)) for n in range(lines, lines + len(numbers))
            ]
            assert right, f"a message is missing or doubled after line {lines}"
            lines += len(numbers)
    assert rest == b""
    file.unlink()
    return lines + replies


class Watch:
    """Requests the probes and measures the memory every 100 ms, until the collector ends."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._failed: list[str] = []
        self.health_ms: list[float] = []
        self.own_mb: list[float] = []
        """Memory without the queue, which is bounded, and may be full at full load."""
        self.failures: list[str] = []
        """Probes without a good answer, up to the last good one: at its end the collector answers no more."""

    def run(self) -> None:
        process = Path("/proc", str(self._collector.process.pid))
        while self._collector.process.poll() is None:
            began = time.monotonic()
            try:
                assert self._collector.get("/health")[0] == 200
                self.health_ms.append((time.monotonic() - began) * 1e3)
                assert self._collector.get("/ready")[0] == 200
                queued = float(_queued(self._collector.get("/metrics")[1]).group(1))
                pages = int((process / "statm").read_text().split()[1])
                self.own_mb.append((pages * os.sysconf("SC_PAGE_SIZE") - queued) / 1e6)
                self.failures, self._failed = self.failures + self._failed, []
            except (OSError, AssertionError) as error:
                self._failed.append(f"{error!r} after {time.monotonic() - began:.3f} s")
            gevent.sleep(max(0.0, began + 0.1 - time.monotonic()))


class Crowd:
    """Clients that send a request byte by byte, and connect again when they are disconnected."""

    def __init__(self, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        self._address = (host, int(port))
        self._clients: list[gevent.Greenlet] = []
        self.visits = 0

    def __enter__(self) -> Crowd:
        self._clients += [gevent.spawn(self._visit) for _ in range(CROWD)]
        return self

    def __exit__(self, *_: object) -> None:
        gevent.killall(self._clients)

    def _visit(self) -> None:
        while True:
            with suppress(OSError), socket.create_connection(self._address) as client:
                self.visits += 1
                client.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
                while True:
                    gevent.sleep(0.5)
                    client.sendall(b"s")
            gevent.sleep(1)


def test_under_full_load_and_slow_clients_nothing_is_lost_and_the_probes_answer(tmp_path):
    with load_source(tmp_path) as (load, endpoint), Collector(tmp_path, endpoint) as collector:
        collector.start_up()
        load.line(START_SECONDS)
        load.send("go")
        watch = Watch(collector)
        watching = gevent.spawn(watch.run)
        with Crowd(collector.listen) as crowd:
            gevent.sleep(LOAD_SECONDS)
            load.send("stop")
            sent = int(load.line(START_SECONDS)[1])
        load.send("close")
        peak = peak_mb(collector.process.pid)
        assert collector.wait() == 75
        watching.get()
        written = count_written(collector)
    stopped = collector.events[-1]
    assert stopped["messages"] == written == sent + len([e for e in collector.events if e["event"] == "subscribed"])
    assert (stopped["gaps"], collector.other) == (0, [])

    health, quarter = sorted(watch.health_ms), len(watch.own_mb) // 4
    growth = statistics.median(watch.own_mb[-quarter:]) - statistics.median(watch.own_mb[quarter : 2 * quarter])
    print(
        f"{sent / LOAD_SECONDS:,.0f} msg/s, {sent:,} sent = received = written; {crowd.visits} slow visits; /health of "
        f"{len(health)}: median {statistics.median(health):.1f} ms, worst {health[-3]:.0f}, {health[-2]:.0f}, "
        f"{health[-1]:.0f} ms; RSS growth {growth:.1f} MB, peak {peak:.0f} MB"
    )
    assert crowd.visits > CROWD
    assert watch.failures == []
    assert len(health) > 4 * LOAD_SECONDS
    # Because of other load on the machine two in a hundred may be slower, but less than a TCP retransmission takes.
    assert health[-1 - max(2, len(health) // 50)] < HEALTH_MS
    assert health[-1] < 5 * HEALTH_MS
    assert growth < RSS_MAY_GROW_MB
    assert peak < PEAK_MB


def peak_mb(pid: int) -> float:
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc", str(pid), "status").read_text()).group(1)) / 1e3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_full_load_ends_the_run_with_everything_received_in_the_file(tmp_path, number):
    with load_source(tmp_path) as (load, endpoint), Collector(tmp_path, endpoint) as collector:
        collector.start_up()
        load.line(START_SECONDS)
        load.send("go")
        [file] = collector.data.glob("*/test.jsonl")
        while file.stat().st_size < 300_000_000:
            gevent.sleep(0.01)
        began = time.monotonic()
        collector.process.send_signal(number)
        assert collector.wait() == 0
        assert time.monotonic() - began < 5
        stopped = collector.events[-1]
        assert (stopped["reason"], stopped["gaps"], collector.other) == (number.name, 0, [])
        # The time in the messages of the source is always the same.
        levels = {event["level"] for event in collector.events if not event["event"].startswith("the exchange's time")}
        assert levels == {"info"}, "something was left in the queue"
        assert stopped["messages"] == count_written(collector) > 900_000
