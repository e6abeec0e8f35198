"""Kills, and disks that are full, failing, slow, dead, without power, or not writable."""

import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import gevent.monkey
import pytest
from mounts import mounted, remount
from numbered_messages import OLD, TORN, counts_from_one, numbers, record, today, torn_file
from patience import PATIENCE
from process import ROOT, Collector, Simulator
from ship_runs import Site, wait_until
from slow_disk import slow_disk

from ssmd.contracts.resolver import KeySource
from ssmd.errors import SourceUnavailable
from ssmd.resolver.exec import ExecResolver
from ssmd.runtime.queue import QUEUE_BYTES
from ssmd.runtime.runner import DRAIN_SECONDS
from ssmd.runtime.status import STUCK_SECONDS
from ssmd.store.line import decode_line
from ssmd.writer.storage import LocalStorage

HEALTH_MS = 200
RSS_MAY_GROW_MB = 24


def metric(collector: Collector, name: str) -> float:
    [value] = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", collector.get("/metrics")[1], re.MULTILINE)
    return float(value)


precise_sleep = gevent.monkey.get_original("time", "sleep")  # gevent's own is too coarse to hit a write.


def test_20_kills_under_load_lose_no_byte_and_join_no_lines(tmp_path):
    """Large messages make large writes, and a kill in the middle of a write leaves a torn line."""
    choose = random.Random(time.time_ns())
    recording = record(tmp_path / "recording.jsonl", 20, (20, 4_000_000))
    written = b""
    tails: list[bytes] = []
    with Simulator("--replay", recording) as simulator:
        for round_number in range(20):
            with Collector(tmp_path, simulator.generic, exchange="generic") as collector:
                collector.wait_for("connected")
                path = today(collector.data)
                kill_at = len(written) + choose.randrange(8_000_000)
                until = time.monotonic() + PATIENCE
                while os.stat(path).st_size < kill_at and time.monotonic() < until:
                    precise_sleep(0.0002)
                os.kill(collector.process.pid, signal.SIGKILL)
                assert collector.wait() == -signal.SIGKILL, collector.events
            content = path.read_bytes()
            assert content.startswith(written), f"round {round_number} changed what was there"
            written = content[: content.rfind(b"\n") + 1]
            tails += [content[len(written) :]] if len(content) > len(written) else []
        with Collector(tmp_path, simulator.generic, exchange="generic") as collector:
            assert collector.wait() == 75
    print(f"20 kills, {len(tails)} torn lines of {sum(map(len, tails)):,} bytes")
    assert tails, "no kill hit a write, so nothing was tested"
    content = path.read_bytes()
    assert content.startswith(written)
    assert counts_from_one(numbers(content))
    assert path.with_name("test.jsonl.torn").read_bytes() == b"".join(tail + b"\n" for tail in tails)


@pytest.mark.needs("mount")
def test_a_full_disk_ends_the_run_with_74_and_the_file_is_repaired_when_there_is_room(tmp_path):
    recording = record(tmp_path / "recording.jsonl", 100_000, (20, 200, 4000))
    with (
        mounted(tmp_path / "data", "-t", "tmpfs", "-o", "size=2m", "ssmd-test") as data,
        Simulator("--replay", recording, "--rate", "20000") as simulator,
    ):
        with Collector(tmp_path, simulator.generic, exchange="generic") as full:
            assert full.wait() == 74
        stopped = full.events[-1]
        assert re.search(r"test\.jsonl: No space left on device; free some, then start again", stopped["reason"])
        assert full.other == []
        path = today(data)
        left = path.read_bytes()
        whole = left[: left.rfind(b"\n") + 1]
        assert numbers(whole) == list(range(1, whole.count(b"\n") + 1))
        assert stopped["messages"] <= whole.count(b"\n")
        assert [event["messages"] for event in full.events if event["event"] == "messages received but not written"]
        if whole != left:  # There is no room for the torn bytes either.
            with Collector(tmp_path, simulator.generic, exchange="generic") as still_full:
                assert still_full.wait() == 73
            assert "No space left on device; free some" in still_full.events[-1]["reason"]
            assert still_full.other == []
            assert path.read_bytes() == left
        remount(data, "size=64m")
        with Collector(tmp_path, simulator.generic, exchange="generic") as again:
            again.wait_for_lines(whole.count(b"\n") + 100)
            assert again.end() == 0
        content = path.read_bytes()
        assert content.startswith(whole)
        assert counts_from_one(numbers(content))
        if whole != left:
            assert left[len(whole) :] in path.with_name("test.jsonl.torn").read_bytes()


def test_a_file_that_may_not_grow_ends_the_run_with_74(tmp_path):
    recording = record(tmp_path / "recording.jsonl", 100_000, (20, 200, 4000))
    with Simulator("--replay", recording, "--rate", "5000") as simulator:
        with Collector(tmp_path, simulator.generic, exchange="generic") as limited:
            limited.wait_for_lines(100)
            resource.prlimit(limited.process.pid, resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))
            assert limited.wait() == 74
        assert "test.jsonl: File too large" in limited.events[-1]["reason"]
        assert limited.other == []
        path = today(limited.data)
        assert path.stat().st_size == 5_000_000
        with Collector(tmp_path, simulator.generic, exchange="generic") as again:
            again.wait_for("connected")
            assert again.end() == 0
    assert counts_from_one(numbers(path.read_bytes()))


@pytest.mark.needs("strace")
def test_a_slow_disk_slows_the_feed_and_nothing_else(tmp_path):
    count = 130_000
    recording = record(tmp_path / "recording.jsonl", count, (900,))
    health_ms, rss_mb, backpressure = [], [], []
    with (
        Simulator("--replay", recording, "--rate", "30000") as simulator,
        Collector(tmp_path, simulator.generic, exchange="generic") as collector,
    ):
        collector.start_up()
        collector.wait_for_lines(500)
        with slow_disk(collector.process.pid, today(collector.data), tmp_path / "strace"):
            until = time.monotonic() + 10
            while time.monotonic() < until:
                began = time.monotonic()
                assert collector.get("/health")[0] == 200
                health_ms.append((time.monotonic() - began) * 1e3)
                queued = metric(collector, "ssmd_queue_bytes")
                assert queued <= QUEUE_BYTES
                if queued > 0.75 * QUEUE_BYTES:  # Every message counts a little more than its bytes.
                    rss_mb.append(metric(collector, "process_resident_memory_bytes") / 1e6)
                    backpressure.append(metric(collector, "ssmd_backpressure_seconds_total"))
                time.sleep(0.1)
        assert collector.wait(PATIENCE) == 75
    assert sum("(DELAYED)" in line for line in (tmp_path / "strace").read_text().splitlines()) > 10
    assert len(rss_mb) > 10, "the queue has never been full"
    print(
        f"/health: worst of {len(health_ms)} {max(health_ms):.0f} ms; memory {min(rss_mb):.0f} to {max(rss_mb):.0f} MB"
    )
    assert max(health_ms) < HEALTH_MS
    assert max(rss_mb) - min(rss_mb) < RSS_MAY_GROW_MB
    assert backpressure[-1] > backpressure[0]
    assert numbers(today(collector.data).read_bytes()) == list(range(1, count + 1))


# Once the file that STUCK names exists, this call takes an hour.
STUCK_CALL = """
import os, time
real, sleep = os.{call}, time.sleep
def stuck(fd, *rest):
    if os.path.exists(os.environ["STUCK"]) and os.readlink(f"/proc/self/fd/{{fd}}").endswith(".jsonl"):
        sleep(3600)
    return real(fd, *rest)
os.{call} = stuck
"""


@contextmanager
def collector_to_get_stuck(folder: Path, endpoint: str, call: str) -> Iterator[Collector]:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(STUCK_CALL.format(call=call))
    variables = {"PYTHONPATH": f"{folder}:{ROOT}", "STUCK": str(folder.parent / "stuck")}
    with Collector(folder, endpoint, variables=variables) as collector:
        collector.start_up()
        collector.wait_for_lines(500)
        yield collector


def test_a_dead_disk_makes_health_fail_and_does_not_keep_the_run_from_ending(tmp_path):
    with (
        Simulator("--rate", "5000") as simulator,
        collector_to_get_stuck(tmp_path / "write", simulator.endpoint, "writev") as write,
        collector_to_get_stuck(tmp_path / "sync", simulator.endpoint, "fdatasync") as sync,
    ):
        (tmp_path / "stuck").touch()
        began = time.monotonic()
        for what, collector in (("write", write), ("sync", sync)):
            while (answer := collector.get("/health"))[0] == 200:
                assert time.monotonic() - began < STUCK_SECONDS + 5
                time.sleep(0.1)
            assert time.monotonic() - began > STUCK_SECONDS / 2
            assert answer[0] == 503
            assert re.search(rf"a {what} to \S+/test\.jsonl has been stuck for 1\d s", answer[1])
        began = time.monotonic()
        write.process.terminate()
        sync.process.terminate()
        for collector in (write, sync):
            assert collector.wait(DRAIN_SECONDS + 8) == 74
            assert "the disk did not take the rest within the drain time" in collector.events[-1]["reason"]
            assert collector.other == []
        assert time.monotonic() - began < DRAIN_SECONDS + 5
        assert any(event["event"] == "messages received but not written" for event in write.events)
        assert len(sync.lines()) == sync.events[-1]["messages"]


@contextmanager
def frozen(where: Path) -> Iterator[None]:
    """Freeze a file system: a process that writes to it waits in the kernel, where even SIGKILL has no effect."""
    subprocess.run(["fsfreeze", "-f", where], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", where], check=True)


@contextmanager
def ext4(folder: Path) -> Iterator[Path]:
    medium = folder / "disk"
    with open(medium, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", medium], check=True)
    with mounted(folder / "data", "-o", "loop", medium) as data:
        yield data


def state(pid: int) -> str:
    """Return the state of the main thread from /proc: Z when it has ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.needs("loop mounts of ext4", "fsfreeze")
def test_a_log_on_the_dead_disk_delays_neither_the_probes_nor_the_end(tmp_path):
    """As with bin/start, the log is a file beside the data. The kernel releases the process when the disk is back."""
    with ext4(tmp_path) as data, Simulator("--rate", "500") as simulator:
        log = data / "log"
        to_the_log = ["sh", "-c", 'exec "$@" 2>>"$0"', str(log)]
        with Collector(tmp_path, simulator.endpoint, prefix=to_the_log) as collector:
            collector.wait_for_lines(500)
            collector.listen = json.loads(log.read_bytes().splitlines()[0])["listen"]
            with frozen(data):
                health_ms = []
                began = time.monotonic()
                while time.monotonic() - began < STUCK_SECONDS + 3:
                    asked = time.monotonic()
                    answer = collector.get("/health")
                    health_ms.append((time.monotonic() - asked) * 1e3)
                    time.sleep(0.1)
                assert re.search(r"\S+/test\.jsonl has been stuck for 1\d s", answer[1])
                collector.process.terminate()  # It logs "stopping".
                began = time.monotonic()
                while time.monotonic() - began < 3:
                    assert collector.get("/health")[0] == 503
                    time.sleep(0.1)
                while state(collector.process.pid) != "Z":
                    assert time.monotonic() - began < DRAIN_SECONDS + 8
                    time.sleep(0.1)
            assert collector.wait() == 74
        content = log.read_bytes()
    print(f"/health: worst of {len(health_ms)} {max(health_ms):.0f} ms")
    assert max(health_ms) < 1000
    assert content.endswith(b"\n")
    assert all(json.loads(line) for line in content.splitlines())


EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
SLACK = 0.25
"""Seconds that a busy machine may take to hand a line to the file, and to wake the process for a sync that is due."""


def power_loss(trace: Path) -> float:
    """Return the age in seconds of the youngest line that must survive: the interval between two syncs, and the time
    that a sync of the ledger and of the data has taken at most.
    """
    seconds = [float(found) for found in re.findall(r"fdatasync.* <([\d.]+)>$", trace.read_text(), re.MULTILINE)]
    return LocalStorage(type="local", path=".").fsync_interval_seconds + 2 * max(seconds) + SLACK


@pytest.mark.needs("loop mounts of ext4", "strace")
def test_a_power_failure_takes_no_more_than_the_last_sync_interval(tmp_path):
    """ext4 can shut down as at a power failure: data that is not on the medium by then never gets there."""
    medium = tmp_path / "disk"
    with open(medium, "wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.ext4", "-q", medium], check=True)
    live = durable = b""
    lost = []
    with Simulator("--rate", "5000") as simulator:
        for number, seconds in enumerate((3.3, 4.1, 4.9, 1.0)):
            # A copy, as if the disk were put into another machine. Linux may keep a file system that was shut down, and
            # its loop device, for a while after it is unmounted, and would mount that one again.
            medium = Path(shutil.copyfile(medium, tmp_path / f"disk-{number}"))
            with mounted(tmp_path / "data", "-o", "loop", medium) as data:
                if live:
                    left = today(data).read_bytes()
                    lost.append(live.count(b"\n") - left.count(b"\n"))
                    assert left.startswith(durable)
                trace = tmp_path / f"trace-{number}"
                times = ("strace", "-D", "-f", "--seccomp-bpf", "-T", "-e", "trace=fdatasync", "-o", trace)
                with Collector(tmp_path, simulator.endpoint, prefix=times) as collector:
                    collector.wait_for("subscribed")
                    time.sleep(seconds)
                    live = today(data).read_bytes()
                    power_off(data)
                    off_ns = time.time_ns()
                    assert collector.wait() == 74
                assert "Input/output error" in collector.events[-1]["reason"]
                assert collector.other == []
            assert live.startswith(durable)
            lines = live[: live.rfind(b"\n") + 1].splitlines(keepends=True)
            until_ns = off_ns - int(power_loss(trace) * 1e9)
            durable = b"".join(line for line in lines if decode_line(line).received_ns < until_ns)
            assert durable
    print(f"the power went {len(lost) + 1} times, at 5000 lines a second; lines lost: {lost}")


def power_off(mount_point: Path) -> None:
    fd = os.open(mount_point, os.O_RDONLY)
    fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os.close(fd)


def without_rights() -> list[str]:
    """Return a command that removes root's right to ignore permissions, for the rest of its arguments."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def refused(folder: Path, reason: str, prefix: list[str] | None = None) -> None:
    """Check that a start on folder/data is refused with 73 and this reason, in one line."""
    with Simulator() as simulator, Collector(folder, simulator.endpoint, prefix=prefix or []) as collector:
        assert collector.wait() == 73
    assert [event["event"] for event in collector.events] == ["starting", "stopped"]
    assert re.search(reason, collector.events[-1]["reason"])
    assert collector.other == []


@pytest.mark.needs("mount")
def test_a_read_only_file_system_is_refused_at_the_start(tmp_path):
    with mounted(tmp_path / "data", "-t", "tmpfs", "-o", "ro", "ssmd-test"):
        refused(tmp_path, rf"^{tmp_path}/data/.*: Read-only file system$")


def test_a_folder_without_permission_is_refused_at_the_start(tmp_path):
    (tmp_path / "data").mkdir(mode=0o500)
    refused(tmp_path, rf"^{tmp_path}/data/.*: Permission denied$", without_rights())


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_file_without_permission_is_refused_at_the_start(tmp_path, mode):
    path = torn_file(tmp_path / "data")
    path.chmod(mode)
    refused(tmp_path, rf"^{path}: Permission denied$", without_rights())
    assert path.stat().st_size == len(OLD + TORN)


def test_a_path_that_is_a_file_is_refused_at_the_start(tmp_path):
    (tmp_path / "data").write_text("in the way")
    remedy = r"move it away, or set another storage\.path"
    refused(tmp_path, rf"^{tmp_path}/data.*: is in the way: it is not a folder; {remedy}$")
    assert (tmp_path / "data").read_text() == "in the way"


@pytest.mark.needs("mount")
def test_a_copy_whose_disk_is_full_gets_the_rest_when_there_is_room(tmp_path):
    site, room = Site(tmp_path), 300 * 1024
    with (
        mounted(site.copy, "-t", "tmpfs", "-o", f"size={room}", "ssmd-test"),
        Simulator("--rate", "2000") as simulator,
        Collector(tmp_path, simulator.endpoint, environment=site.environment) as collector,
    ):
        collector.start_up()
        failed = collector.wait_for("the engine failed")
        assert (failed["companion"], failed["level"]) == ("ship", "warning")
        assert "No space left on device" in failed["reason"]
        wait_until(lambda: json.loads(collector.get("/status")[1])["shipping"]["error"] == failed["reason"])
        assert collector.get("/ready")[0] == 200
        remount(site.copy, "size=64m")
        wait_until(lambda: sum(map(len, site.copied().values())) > room)
        assert collector.end() == 0
        assert site.ship("--once").returncode == 0  # A relay that is stopped has only a second for what is left.
        assert site.copied() == site.recorded()


@pytest.mark.needs("mount")
def test_what_is_on_a_full_disk_is_shipped_and_where_that_ended_is_noted_when_there_is_room(tmp_path):
    site = Site(tmp_path)
    with mounted(site.data, "-t", "tmpfs", "-o", "size=1m", "ssmd-test"):
        site.write(1000)
        filler = site.data / "filler"
        filled = subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], capture_output=True, check=False)
        assert b"No space left on device" in filled.stderr
        full = site.ship("--once")
        assert full.returncode == 0
        assert site.copied() == site.recorded()
        [warning] = [entry for entry in map(json.loads, full.stderr.splitlines()) if entry["level"] == "warning"]
        assert (warning["event"], warning["reason"]) == ("cannot be written", "No space left on device")
        assert not [path for path in site.data.iterdir() if "shipped" in path.name]
        filler.unlink()
        site.write(1)
        assert site.ship("--once").returncode == 0
        noted = json.loads((site.data / ".test.file.shipped").read_text())
        assert (noted["line"], noted["offset"]) == (1001, len(next(iter(site.recorded().values()))))


@pytest.mark.needs("loop mounts of ext4", "fsfreeze")
def test_a_command_for_a_key_that_cannot_be_killed_is_left_alone(tmp_path):
    with ext4(tmp_path) as data, frozen(data):
        source = KeySource("kalshi", f"exec:touch {data}/file", ["api_key"])
        with pytest.raises(SourceUnavailable, match="has not ended in time, and was killed"):
            ExecResolver({"PATH": os.environ["PATH"]}, time.monotonic() + 1).resolve(source)
