"""A host is lost, and another one goes on with what the bucket has: real collectors, a real server, kill -9."""

from __future__ import annotations

import itertools
import shutil
import time
from pathlib import Path

import pytest
from kills import killed_at
from process import ssmd
from recorded import make_day
from s3_runs import FEED, VARIABLES, Site
from s3_server import S3Server
from s3_storage import put_segments
from ship_runs import children_of, runs, wait_until

from ssmd.bucket.restore import restore
from ssmd.reading.restored_days import MISSED
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, decode_entry, encode_entry
from ssmd.store.locks import held
from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns


@pytest.fixture
def server(tmp_path):
    server = S3Server(tmp_path)
    yield server
    server.thaw()
    server.kill()


def site_in(tmp_path: Path, server: S3Server) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder, server, live_seconds=1)


def today() -> str:
    return day_of_ns(time.time_ns())


def data(site: Site, day: str | None = None) -> Path:
    return site.data / (day or today()) / f"{FEED}.jsonl"


def events(site: Site, day: str | None = None) -> list[str]:
    path = data(site, day).with_name(f"{FEED}.ledger.jsonl")
    return [decode_entry(line).event for line in path.read_bytes().splitlines()]


def uploaded(site: Site) -> int:
    """Return how many lines of today the bucket has."""
    prefix = f"{today()}/live/{FEED}/"
    names = [found.name.removeprefix(prefix) for found in site.bucket.list(prefix)]
    return max([int(name[13:25]) for name in names if name.endswith(".zst")], default=0)


def lose(site: Site) -> None:
    shutil.rmtree(site.data)
    site.data.mkdir()


def record_and_kill(site: Site, more_than: int = 0) -> bytes:
    """Collect until the bucket has more lines than that, kill everything, and return the lines that it has."""
    collector = site.collect()
    wait_until(lambda: uploaded(site) > more_than)
    companions = children_of(collector.process.pid)
    collector.process.kill()
    collector.process.wait()
    wait_until(lambda: not any(map(runs, companions)))  # They end by themselves.
    lines = data(site).read_bytes().splitlines(keepends=True)
    return b"".join(lines[: uploaded(site)])


def yesterday() -> str:
    return day_of_ns(time.time_ns() - DAY_NS)


def collect_more(site: Site, size: int) -> int:
    """Collect until today's file has more bytes than that; stop, and return the exit code."""
    collector = site.collect()
    wait_until(lambda: data(site).exists() and data(site).stat().st_size > size)
    return collector.end()


@pytest.mark.one_day
def test_a_lost_host_costs_what_was_not_uploaded(server, tmp_path):
    site = site_in(tmp_path, server)
    there = record_and_kill(site)
    lose(site)
    assert collect_more(site, len(there) + 1000) == 0
    assert data(site).read_bytes().startswith(there)
    assert "outage" in events(site)
    assert "apart" not in events(site)
    verified = ssmd("verify", site.data)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.one_day
def test_a_start_without_the_bucket_records_and_the_next_one_puts_the_parts_together(server, tmp_path):
    site = site_in(tmp_path, server)
    there = record_and_kill(site)
    lose(site)
    server.kill()
    assert collect_more(site, 5000) == 0
    apart = data(site).read_bytes()
    assert "apart" in events(site)
    server.start()
    restored = ssmd("restore", "test", "--config-dir", site.tree, **VARIABLES)
    lines = there.count(b"\n")
    assert restored.returncode == 0, restored.stderr
    assert f"{data(site)}: {lines:,} lines restored from {site.bucket.address}, before those" in restored.stdout
    assert data(site).read_bytes() == there + apart
    verified = ssmd("verify", site.data)
    assert verified.returncode == 0, verified.stdout
    assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0
    assert site.live(today())[0] == there + apart


@pytest.mark.one_day
def test_a_start_stops_where_a_line_is_another_one(server, tmp_path):
    site = site_in(tmp_path, server)
    there = record_and_kill(site)
    data(site).write_bytes(there.replace(b'"data":{', b'"data": {', 1))
    before = data(site).read_bytes()
    collector = site.collect()
    assert collector.wait() == 73
    assert any("line 1 is not the one that s3://" in str(event) for event in collector.events)
    assert data(site).read_bytes() == before


def recorded_yesterday(site: Site) -> bytes:
    """Record a part of yesterday and put it into the bucket, in segments."""
    make_day(site.data, yesterday(), feed=FEED, connected=[(0, 12_000, "killed")], sealed=False)
    [file] = data_files([site.data])
    there = file.path.read_bytes()
    put_segments(site.bucket, file, 100, there.count(b"\n"))
    return there


def recorded_apart(site: Site) -> bytes:
    """Record another part of yesterday, by a run that could not ask the bucket; return its lines."""
    make_day(site.data, yesterday(), feed=FEED, connected=[(20_000, 30_000, "stopped")], sealed=False)
    ledger = data(site, yesterday()).with_name(f"{FEED}.ledger.jsonl")
    ns = day_begins(yesterday()) + 20_000 * 10**9
    apart = encode_entry(Entry(ns, "apart", 0, 0, {"copy": "s3://x", "why": "cannot connect"}))
    ledger.write_bytes(apart + ledger.read_bytes())
    return data(site, yesterday()).read_bytes()


def test_a_day_of_which_only_segments_are_left_is_sealed_and_uploaded(server, tmp_path):
    site = site_in(tmp_path, server)
    there = recorded_yesterday(site)
    lose(site)
    assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0
    assert site.complete_days() == {(yesterday(), FEED): there}
    assert data(site, yesterday()).read_bytes() == there
    assert not list(site.bucket.list(f"{yesterday()}/live/"))
    verified = ssmd("verify", site.data)
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("form", ["jsonl", "jsonl.zst", "parquet", "both"])
def test_a_sealed_day_of_which_the_bucket_has_more_is_uploaded_with_all_of_it(server, tmp_path, form):
    """As after the folder was put back from an older copy, while the bucket could not be reached."""
    site = site_in(tmp_path, server)
    there = recorded_yesterday(site)
    path = data(site, yesterday())
    path.write_bytes(b"".join(there.splitlines(keepends=True)[:100]))
    ledger = path.with_name(f"{FEED}.ledger.jsonl")
    entries = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(entry for entry in entries if decode_entry(entry).line < 100))
    site.seal()
    plain = path.read_bytes()
    if form != "jsonl":
        assert ssmd("compact", site.data, *(["--parquet"] if form == "parquet" else [])).returncode == 0
    if form == "both":  # As a kill leaves it, after the plain file was made again.
        path.write_bytes(plain)
    assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0
    assert site.complete_days() == {(yesterday(), FEED): there}
    assert [file.name for file in path.parent.glob(f"{FEED}.*") if file.suffix in (".zst", ".parquet")] == []
    assert ssmd("verify", site.data).returncode == 0


def test_a_day_on_which_another_command_works_waits(server, tmp_path):
    site = site_in(tmp_path, server)
    there = recorded_yesterday(site)
    path = data(site, yesterday())
    path.write_bytes(b"".join(there.splitlines(keepends=True)[:100]))
    site.seal()
    with held(path) as ours:
        assert ours
        assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 65
    assert site.complete_days() == {}
    assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0
    assert site.complete_days() == {(yesterday(), FEED): there}


@pytest.mark.parametrize("compacted", [False, True])
def test_a_day_that_was_begun_apart_becomes_one_day_when_it_is_over(server, tmp_path, compacted):
    site = site_in(tmp_path, server)
    there = recorded_yesterday(site)
    lose(site)
    late = recorded_apart(site)
    site.seal()
    if compacted:
        assert ssmd("compact", site.data).returncode == 0
    assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0
    assert site.complete_days() == {(yesterday(), FEED): there + late}
    assert not list(site.bucket.list(f"{yesterday()}/live/"))
    assert ssmd("verify", site.data).returncode == 0
    assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0


@pytest.mark.parametrize("left", [0, 700])
def test_a_restore_that_is_killed_at_any_step_leaves_what_the_next_one_completes(server, tmp_path, left):
    site = site_in(tmp_path, server)
    make_day(site.data, yesterday(), feed=FEED, per_hour=100, connected=[(0, 86_000, "killed")], sealed=False)
    [file] = data_files([site.data])
    path = file.path
    there = path.read_bytes()
    put_segments(site.bucket, file, *range(500, there.count(b"\n"), 500), there.count(b"\n"))
    whole, short = b"".join(path.read_bytes().splitlines(keepends=True)[:left]), tmp_path / "short"
    if left:
        path.write_bytes(whole)
    else:
        lose(site)
    shutil.copytree(site.data, short)

    def work() -> None:
        # With a client of its own: a connection is for one process.
        restore(server.bucket(site.bucket.address), path.parent, FEED, time.time_ns())

    found = set()
    for step in itertools.count(step=5):
        shutil.rmtree(site.data)
        shutil.copytree(short, site.data)
        killed = killed_at(step, work, "bucket/restore.py", "store/durable.py")
        lines = path.read_bytes() if path.exists() else b""
        assert there.startswith(lines)
        found.add(lines.count(b"\n"))
        restore(site.bucket, path.parent, FEED, time.time_ns())
        assert path.read_bytes() == there
        if not killed:
            break
    assert step > 30
    assert {left, there.count(b"\n")} < found if left else found == {0, there.count(b"\n")}
    assert ssmd("verify", path).returncode == 0


def test_a_relay_goes_on_while_its_days_are_put_together(server, tmp_path):
    """It has handed out the lines that were recorded apart, and the bucket puts others before them."""
    site = site_in(tmp_path, server)
    copy = tmp_path / "copy"
    copy.mkdir()
    site._more = f"transport: {{type: file, path: {copy}, start: oldest}}\n"
    site.configure()
    there = recorded_yesterday(site)
    lose(site)
    late = recorded_apart(site)
    site.seal()
    with site.shipping("--engine", "file") as relay:
        wait_until(lambda: (copy / yesterday() / f"{FEED}.jsonl").exists())
        wait_until(lambda: (copy / yesterday() / f"{FEED}.jsonl").read_bytes() == late)
        assert site.ship("--engine", "s3", "--shard", "1/1", "--once").returncode == 0
        warning = relay.wait_for(MISSED)
        assert (warning["day"], warning["lines"]) == (yesterday(), there.count(b"\n"))
        site.write(today(), 3)
        wait_until(lambda: (copy / today() / f"{FEED}.jsonl").exists())
        assert relay.end() == 0
    assert data(site, yesterday()).read_bytes() == there + late
    assert (copy / yesterday() / f"{FEED}.jsonl").read_bytes() == late
    # What is in the engine ends in the joined day: a relay that starts anew finds its place too.
    assert site.ship("--engine", "file", "--once").returncode == 0
