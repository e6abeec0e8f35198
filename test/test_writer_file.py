"""The file writer on real files: dates, rotation, lock, repair, sync and failure."""

import contextlib
import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from patience import PATIENCE

from ssmd.contracts.writer import Batch, Note
from ssmd.errors import OutputError, WriteError
from ssmd.runtime.work_thread import WorkThread
from ssmd.store.line import decode_line
from ssmd.writer.file import LARGE_BYTES, FileWriter
from ssmd.writer.storage import LocalStorage

NOON = 1_766_404_800_000_000_000  # 2025-12-22T12:00:00Z
MIDNIGHT = NOON + 12 * 3600 * 1_000_000_000


@pytest.fixture
def make(tmp_path, status, metrics):
    """Makes writers, and closes those that a test leaves open."""
    made = []

    def writer(path: Path = tmp_path, **options: Any) -> FileWriter:
        storage = LocalStorage(type="local", path=str(path), fsync_interval_seconds=options.pop("fsync", 1.0))
        made.append(
            FileWriter(storage, "kalshi", status=status, clock=lambda: options.get("now", NOON))
        )
        return made[-1]

    yield writer
    for one in made:
        with contextlib.suppress(WriteError):
            one.close()


def take(writer: FileWriter, *payloads: bytes, ns: int = NOON) -> None:
    data = writer.encode([(ns, len(payloads))], list(payloads), False)
    writer.write(Batch("kalshi", ns, data, len(payloads)))


def payloads(path: Path) -> list[bytes]:
    return [decode_line(line).payload for line in path.read_bytes().splitlines()]


def test_messages_go_to_the_file_of_their_utc_date(tmp_path, make):
    writer = make()
    writer.open()
    take(writer, b'{"a":1}\n', b'{"a":2}\n')
    writer.flush()
    path = tmp_path / "2025-12-22" / "kalshi.jsonl"
    assert writer.location == str(path)
    assert path.read_bytes().splitlines()[0] == b'{"ts":"2025-12-22T12:00:00.000000Z","feed":"kalshi","data":{"a":1}}'
    assert payloads(path) == [b'{"a":1}', b'{"a":2}']


def test_rotation_at_midnight_loses_and_mixes_nothing(tmp_path, make):
    writer = make()
    writer.open()
    for ns, payload in [(MIDNIGHT - 1000, b"1"), (MIDNIGHT, b"2"), (MIDNIGHT + 3 * 86400 * 10**9, b"3")]:
        take(writer, payload, ns=ns)
    writer.close()
    assert {path.parent.name: payloads(path) for path in tmp_path.glob("*/kalshi.jsonl")} == {
        "2025-12-22": [b"1"],
        "2025-12-23": [b"2"],
        "2025-12-26": [b"3"],
    }


def test_an_existing_file_is_continued_after_its_torn_tail_was_set_aside(tmp_path, make):
    first = make()
    first.open()
    take(first, b"1")
    first.close()
    path = tmp_path / "2025-12-22" / "kalshi.jsonl"
    with open(path, "ab") as torn:
        torn.write(b'{"ts":"2025-12-22T12:0')
    second = make()
    second.open()
    take(second, b"2")
    second.close()
    assert payloads(path) == [b"1", b"2"]
    assert path.with_name("kalshi.jsonl.torn").read_bytes() == b'{"ts":"2025-12-22T12:0\n'


def test_a_file_that_is_not_of_ssmd_is_refused_and_left_alone(tmp_path, make):
    foreign = tmp_path / "2025-12-22" / "kalshi.jsonl"
    foreign.parent.mkdir()
    foreign.write_bytes(b'{"type":"trade"}\n' * 1000)
    with pytest.raises(OutputError, match=r"kalshi.jsonl: is not a file of ssmd; move it away"):
        make().open()
    assert foreign.read_bytes() == b'{"type":"trade"}\n' * 1000
    assert not foreign.with_name("kalshi.jsonl.torn").exists()


@pytest.mark.parametrize("name", ["kalshi.jsonl", "kalshi.ledger.jsonl"])
def test_a_file_that_was_removed_is_noticed_by_the_next_sync(tmp_path, make, name):
    """The ledger too, although nothing is written to it for hours."""
    writer = make(fsync=0.001)
    writer.open()
    (tmp_path / "2025-12-22" / name).unlink()
    take(writer, b"1")
    writer.flush()
    writer.sync()
    with pytest.raises(WriteError, match=f"{name}: somebody has removed the file"):
        sync_until_told(writer)


@pytest.mark.parametrize("name", ["kalshi.jsonl", "kalshi.ledger.jsonl"])
@pytest.mark.parametrize("grown", [False, True])
def test_a_file_that_was_cut_off_is_noticed_by_the_next_sync(tmp_path, make, name, grown):
    """Also when it has grown again, and when the run continues a file of an earlier one."""
    earlier = make()
    earlier.open()
    take(earlier, b'{"n":1}', b'{"n":2}')
    earlier.close()
    writer = make(fsync=0.001)
    writer.open()
    take(writer, b'{"n":3}')
    writer.write(Batch("kalshi", NOON, b"", 0, [Note("mark", NOON)]))
    writer.flush()
    path = tmp_path / "2025-12-22" / name
    os.truncate(path, 100)
    if grown:
        take(writer, b'{"n":4}')
        writer.write(Batch("kalshi", NOON, b"", 0, [Note("mark", NOON)]))
        writer.flush()
    writer.sync()
    with pytest.raises(WriteError, match=f"{path}: somebody has cut the file off: it has "):
        sync_until_told(writer)


def test_a_relative_path_is_absolute_in_every_error(tmp_path, make, monkeypatch):
    """Whoever reads the log does not know in which folder the collector was started."""
    monkeypatch.chdir(tmp_path)
    writer = make(Path("data"), fsync=0.001)
    writer.open()
    assert writer.location == str(tmp_path / "data" / "2025-12-22" / "kalshi.jsonl")
    with pytest.raises(OutputError, match=f"^{tmp_path}/data/.kalshi.lock: another collector"):
        make(Path("data")).open()
    os.truncate(writer.location, 0)
    take(writer, b"1")
    os.unlink(writer.location)
    writer.flush()
    writer.sync()
    with pytest.raises(WriteError, match=f"^{tmp_path}/data/2025-12-22/kalshi.jsonl: somebody has removed"):
        sync_until_told(writer)


@pytest.mark.parametrize(("form", "remedy"), [("zst", "zstd -d --rm"), ("gz", "gunzip")])
def test_a_compressed_day_is_not_begun_again(tmp_path, make, form, remedy):
    """The clock went back: a new plain file would hide all that the day has."""
    folder = tmp_path / "2025-12-22"
    folder.mkdir()
    for name in (f"kalshi.jsonl.{form}", "kalshi.manifest.json"):
        (folder / name).write_bytes(b"kept")
    with pytest.raises(OutputError, match=rf"kalshi\.jsonl: this day is compressed already.*{remedy} /"):
        make().open()
    assert sorted(path.name for path in folder.iterdir()) == [f"kalshi.jsonl.{form}", "kalshi.manifest.json"]


def test_a_plain_file_beside_a_compressed_one_that_is_sealed_is_not_continued(tmp_path, make):
    folder = tmp_path / "2025-12-22"
    folder.mkdir()
    for name in ("kalshi.jsonl", "kalshi.jsonl.zst", "kalshi.manifest.json"):
        (folder / name).write_bytes(b"")
    writer = make()
    with pytest.raises(OutputError, match="finish that with `ssmd compact`"):
        writer.open()
    writer.close()
    assert (folder / "kalshi.manifest.json").exists()
    (folder / "kalshi.manifest.json").unlink()
    make().open()  # Somebody's copy must not keep a collector from its work.


def test_what_waits_for_the_lock_does_not_take_a_file_that_was_removed_meanwhile(tmp_path, make):
    path = tmp_path / "2025-12-22" / "kalshi.jsonl"
    path.parent.mkdir()
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        opening = gevent.spawn(make().open)
        gevent.sleep(0.3)
        assert not opening.ready()
        path.rename(path.with_name("kalshi.jsonl.zst"))
    with pytest.raises(OutputError, match="compressed already"):
        opening.get(timeout=PATIENCE)
    assert not path.exists()


def test_a_start_waits_for_what_is_at_work_on_the_file(tmp_path, make):
    path = tmp_path / "2025-12-22" / "kalshi.jsonl"
    path.parent.mkdir()
    writer = make()
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        opening = gevent.spawn(writer.open)
        gevent.sleep(0.3)
        assert not opening.ready()
    opening.get(timeout=PATIENCE)
    assert writer.location == str(path)


def test_without_its_lock_file_the_data_file_still_keeps_others_away(tmp_path, make, monkeypatch):
    monkeypatch.setattr("ssmd.writer.day.WAIT_SECONDS", 0.2)
    make().open()
    (tmp_path / ".kalshi.lock").unlink()
    with pytest.raises(OutputError, match=r"has held it for 0\.2 s: `ssmd seal` or `ssmd compact`.*another collector"):
        make().open()


def test_a_second_collector_on_the_same_feed_is_refused(tmp_path, make):
    make().open()
    with pytest.raises(OutputError, match=rf"kalshi.lock: another collector \(process {os.getpid()}\)"):
        make().open()


def test_failures_off_the_hub_print_nothing(make, monkeypatch, capfd):
    """gevent prints a traceback of whatever a thread of its pool raises."""
    writer = make()
    writer.open()
    with pytest.raises(OutputError):
        make().open()
    take(writer, b"1")

    def fail(fd: int, pieces: object = None) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "writev", fail)
    with pytest.raises(WriteError, match=r"kalshi\.jsonl: Input/output error"):
        writer.flush()
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(WriteError, match="sync failed"):
        writer.close()
    assert capfd.readouterr().err == ""


def test_a_lock_that_cannot_be_closed_harms_nobody(tmp_path, make, monkeypatch):
    writer = make()
    writer.open()
    take(writer, b"1")
    real = os.close

    def close(fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        real(fd)
        if path.endswith(".lock"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", close)
    writer.close()
    assert payloads(tmp_path / "2025-12-22" / "kalshi.jsonl") == [b"1"]


def test_the_lock_is_free_again_after_close(make):
    for _ in range(2):
        writer = make()
        writer.open()
        writer.close()


def test_close_is_idempotent_and_may_come_without_open(make):
    writer = make()
    writer.close()
    writer.open()
    writer.close()
    writer.close()


@pytest.mark.parametrize("obstacle", ["file", "dangling", "no such root"])
def test_an_output_that_cannot_be_made_is_one_clear_error(tmp_path, make, obstacle):
    root = tmp_path / "data"
    if obstacle == "file":
        root.write_text("in the way")
    elif obstacle == "dangling":
        root.symlink_to(tmp_path / "nowhere" / "deep")
    else:
        root = Path("/proc/ssmd")
    remedy = "move it away, or set another storage.path"
    no_folder = f" is in the way: it is not a folder; {remedy}$" if obstacle == "file" else ""
    with pytest.raises(OutputError, match=f"{root}.*{no_folder}"):
        make(root).open()


def test_a_date_folder_that_is_a_file_is_refused(tmp_path, make):
    (tmp_path / "2025-12-22").write_text("in the way")
    with pytest.raises(OutputError, match="2025-12-22"):
        make().open()


def test_messages_that_are_not_json_are_kept_and_counted(tmp_path, make, metrics):
    writer = make()
    writer.open()
    take(writer, b"oops", b"{}", b"\xff")
    writer.flush()
    assert payloads(tmp_path / "2025-12-22" / "kalshi.jsonl") == [b"oops", b"{}", b"\xff"]
    assert metrics.registry.get_sample_value("ssmd_messages_not_json_total", {"feed": "kalshi", "shard": ""}) == 2


def test_sync_waits_for_its_interval_and_happens_off_the_hub(make, metrics, monkeypatch):
    threads = []
    real = os.fdatasync
    hub_thread = gevent.get_hub().thread_ident
    get_ident = gevent.monkey.get_original("threading", "get_ident")
    monkeypatch.setattr(os, "fdatasync", lambda fd: (threads.append(get_ident()), real(fd)))
    writer = make(fsync=0.05)
    began = time.monotonic()
    writer.open()
    for _ in range(10):
        take(writer, b"1")
        writer.flush()
        writer.sync()
        gevent.sleep(0.02)
    writer.sync()
    assert 2 <= len(threads) <= (time.monotonic() - began) / 0.05 + 2
    assert hub_thread not in threads
    assert metrics.registry.get_sample_value("ssmd_last_sync_timestamp", {"feed": "kalshi", "shard": ""}) > 0
    assert metrics.registry.get_sample_value("ssmd_disk_free_bytes", {"feed": "kalshi", "shard": ""}) > 0


def test_what_is_written_within_an_interval_is_synced_at_its_end_though_nothing_comes_after_it(make, monkeypatch):
    synced: list[float] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (synced.append(time.monotonic()), real(fd)))
    writer = make(fsync=30.0)
    writer.open()
    assert writer.sync() is None  # There is nothing to sync.
    opened = synced[-1]
    take(writer, b"1")
    writer.flush()
    # The promise is about the line's age, so the time since the last sync counts.
    due = writer.sync()
    assert 0 < due <= 30.0 - (time.monotonic() - opened) + 0.001
    writer._syncer._began -= 31.0  # As if that time had passed.
    before = len(synced)
    assert writer.sync() is None
    writer._syncer._finish()
    assert len(synced) > before


def sync_until_told(writer: FileWriter) -> None:
    for _ in range(2000):
        gevent.sleep(0.005)
        writer.sync()


def test_a_failed_sync_is_told_by_the_next_call_and_never_tried_again(make, monkeypatch):
    calls = []

    def fail(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = make(fsync=0.001)
    writer.open()
    monkeypatch.setattr(os, "fdatasync", fail)
    take(writer, b"1")
    writer.flush()
    writer.sync()
    with pytest.raises(WriteError, match="sync failed: Input/output error"):
        sync_until_told(writer)
    assert len(calls) == 1


def test_a_slow_write_stalls_nobody_else(make, monkeypatch):
    """However fast the disk has been so far, the hub keeps turning during a write, for the probes and signals."""
    writer = make()
    writer.open()
    for _ in range(200):
        take(writer, b"1")
        writer.flush()
    sleep = gevent.monkey.get_original("time", "sleep")
    real = os.writev

    def slow(fd: int, pieces: Sequence[bytes]) -> int:
        sleep(0.5)
        return real(fd, pieces)

    monkeypatch.setattr(os, "writev", slow)
    turns = []

    def turn() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0.001)

    turning = gevent.spawn(turn)
    take(writer, b"2")
    writer.flush()
    turning.kill()
    assert len(turns) > 5


def test_short_writes_are_continued(tmp_path, make, monkeypatch):
    monkeypatch.setattr(os, "writev", lambda fd, pieces: os.write(fd, b"".join(pieces)[:7]))
    writer = make()
    writer.open()
    take(writer, b'{"a":1}', b'{"a":2}')
    writer.close()
    assert payloads(tmp_path / "2025-12-22" / "kalshi.jsonl") == [b'{"a":1}', b'{"a":2}']


FULL_DISK = """
import resource, sys
from gevent import monkey; monkey.patch_all()
from prometheus_client import CollectorRegistry
from ssmd.errors import WriteError
from ssmd.writer.storage import LocalStorage
from ssmd.runtime.metrics import Metrics
from ssmd.contracts.writer import Batch
from ssmd.runtime.status import Status
from ssmd.writer import recovery
from ssmd.writer.file import FileWriter
status = Status()
metrics = Metrics(CollectorRegistry(), "kalshi", status)
writer = FileWriter(LocalStorage(type="local", path=sys.argv[1]), "kalshi", status=status,
                    clock=lambda: 1_766_404_800_000_000_000)
writer.open()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for number in range(10_000):
        lines = writer.encode([(1_766_404_800_000_000_000, 1)], [b'{"n":%d}' % number], False)
        writer.write(Batch("kalshi", 1_766_404_800_000_000_000, lines, 1))
        writer.flush()
except WriteError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_file_that_may_not_grow_ends_with_74_and_is_whole_after_the_next_start(tmp_path, make):
    """The limit on the file's size stops a write in the middle of a line, as a full disk does."""
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.count("\n")) == (74, 1), ended.stderr
    assert "File too large" in ended.stdout
    path = tmp_path / "2025-12-22" / "kalshi.jsonl"
    assert path.stat().st_size == 100_000
    make().open()
    numbers = [json.loads(line)["data"]["n"] for line in path.read_bytes().splitlines()]
    assert numbers == list(range(len(numbers)))
    assert path.stat().st_size + path.with_name("kalshi.jsonl.torn").stat().st_size == 100_000 + 1


@pytest.mark.parametrize(("size", "method"), [(LARGE_BYTES // 2, "run_unhurried"), (LARGE_BYTES, "run")])
def test_the_process_is_not_woken_for_the_outcome_of_a_small_write(make, monkeypatch, size, method):
    used = []
    for name in ("run", "run_unhurried"):
        original = getattr(WorkThread, name)
        monkeypatch.setattr(
            WorkThread, name, lambda *args, name=name, original=original: used.append(name) or original(*args)
        )
    writer = make()
    writer.open()
    take(writer, b"x" * size)
    writer.flush()
    assert used == [method]


def test_a_thread_that_cannot_be_started_is_a_failure_to_write_with_the_remedy(make, monkeypatch):
    def refused(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    writer = make()
    writer.open()
    take(writer, b"{}")
    monkeypatch.setattr("ssmd.runtime.work_thread._start_new_thread", refused)
    with pytest.raises(WriteError, match=r"kalshi\.jsonl: the system starts no further thread for this user"):
        writer.flush()


def test_finished_days_are_sealed_one_after_the_other(tmp_path, make):
    """The cores are for the collectors."""
    [seal] = make(tmp_path).companions()
    assert seal.arguments[0] == "seal"
    assert list(seal.arguments[-2:]) == ["--jobs", "1"]
