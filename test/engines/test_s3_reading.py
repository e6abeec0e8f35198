"""The commands that read take a storage in a bucket as they take a folder, against a real server."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
from patience import PATIENCE
from process import Collector, Process, ssmd, start
from recorded import make_day
from s3_server import BUCKET, KEY, READER
from s3_storage import environment, put_day, put_segments

from ssmd.bucket.address import Address
from ssmd.store.inventory import data_files
from ssmd.store.timestamps import day_of_ns

SEALED = ("2025-12-20", "2025-12-21")


@pytest.fixture(scope="module")
def storage(server, tmp_path_factory):
    """A storage folder with two sealed days and a part of today, of two feeds; the bucket has all of it."""
    storage = tmp_path_factory.mktemp("data")
    bucket = server.bucket(Address(BUCKET, "read"))
    today = day_of_ns(time.time_ns())
    for feed in ("kalshi", "gate"):
        for day in SEALED:
            make_day(storage, day, feed=feed, per_hour=20, connected=[(0, 86_400, "rotated")])
        make_day(storage, today, feed=feed, per_hour=4000, connected=[(0, 600, "killed")], sealed=False)
    for file in data_files([storage]):
        if file.day in SEALED:
            put_day(bucket, file)
        else:
            lines = file.path.read_bytes().count(b"\n")
            put_segments(bucket, file, 100, 101, lines)
    bucket.put_new("2025-12-20/notes.txt", b"of somebody else")
    bucket.put_new("manual.txt", b"of somebody else")
    return storage


ADDRESS = f"s3://{BUCKET}/read"


@pytest.fixture
def read(server, storage, tmp_path):
    """Run a command with the variables of boto3, its temporary files in a folder that has to be empty in the end."""

    def run(*arguments, **variables):
        temporary = tmp_path / "tmp"
        temporary.mkdir(exist_ok=True)
        ended = ssmd(*arguments, **{**environment(server.endpoint, READER, temporary), **variables})
        assert list(temporary.iterdir()) == []
        return ended

    return run


def as_in_bucket(text: str, storage) -> str:
    return text.replace(str(storage), ADDRESS)


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--feed", "kalshi"),
        ("--from", "2025-12-20T12:00", "--to", "2025-12-21T01:00"),
        ("--type", "trade", "--market", "KX-3"),
        ("--raw", "--from", "2025-12-22"),
    ],
)
def test_cat_prints_what_it_prints_of_the_folder(read, storage, options, jobs):
    of_bucket = read("cat", "--jobs", jobs, *options, ADDRESS)
    of_folder = ssmd("cat", "--jobs", jobs, *options, storage)
    assert of_bucket == of_folder
    assert of_folder.stdout


def test_a_day_and_a_file_of_a_day_have_addresses(read, storage):
    assert read("cat", f"{ADDRESS}/2025-12-20").stdout == ssmd("cat", storage / "2025-12-20").stdout
    file = read("cat", f"{ADDRESS}/2025-12-20/gate.jsonl.zst", f"{ADDRESS}/2025-12-21/")
    assert file.stdout == ssmd("cat", storage / "2025-12-20" / "gate.jsonl", storage / "2025-12-21").stdout


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_verify_proves_it(read, storage, jobs):
    of_bucket = read("verify", "--jobs", jobs, ADDRESS)
    assert of_bucket.returncode == 0, of_bucket.stdout
    of_folder = ssmd("verify", storage).stdout
    assert re.sub(" +", " ", of_bucket.stdout) == as_in_bucket(re.sub(" +", " ", of_folder), storage)


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_check_names_what_is_wrong_by_its_address(read, storage, tmp_path, jobs):
    schema = tmp_path / "schema.json"
    schema.write_text('{"properties": {"type": {"not": {"const": "trade"}}}}')
    of_bucket = read("check", "--jobs", jobs, "--schema", schema, ADDRESS)
    of_folder = ssmd("check", "--jobs", jobs, "--schema", schema, storage)
    assert of_bucket.returncode == of_folder.returncode == 65
    assert f"\n{ADDRESS}/2025-12-20/gate.jsonl" in of_bucket.stdout
    assert of_bucket.stdout.replace(".zst:", ":") == as_in_bucket(of_folder.stdout, storage)


def test_verify_names_what_is_wrong_by_its_address(server, read, tmp_path):
    bucket = server.bucket(Address(BUCKET, "wrong"))
    make_day(tmp_path / "data", SEALED[0], per_hour=2)
    [file] = data_files([tmp_path / "data"])
    other = tmp_path / "other"
    make_day(other, SEALED[0], per_hour=3)
    [wrong] = data_files([other])
    bucket.put_new(f"{SEALED[0]}/kalshi.jsonl", wrong.path)
    for name in ("kalshi.ledger.jsonl", "kalshi.manifest.json"):
        bucket.put_new(f"{SEALED[0]}/{name}", file.path.with_name(name))
    ended = read("verify", f"s3://{BUCKET}/wrong")
    assert ended.returncode == 65
    assert f"s3://{BUCKET}/wrong/{SEALED[0]}/kalshi.jsonl: line " in ended.stdout
    assert str(tmp_path) not in ended.stdout + ended.stderr


def test_a_report_has_the_same_figures_and_todays_lines(read, storage):
    days = "2000"
    of_bucket, of_folder = read("report", "--days", days, ADDRESS), ssmd("report", "--days", days, storage)
    assert of_bucket.returncode == of_folder.returncode == 0
    numbers = [re.findall(r"^\s*(\S+ +\S+ +[0-9,]+) ", ended.stdout, re.MULTILINE) for ended in (of_bucket, of_folder)]
    assert numbers[0] == numbers[1]
    assert any(day_of_ns(time.time_ns()) in number for number in numbers[0])


def test_only_what_is_selected_is_downloaded(read, server, tmp_path):
    cache = tmp_path / "cache"
    read("cat", "--from", "2025-12-20", "--to", "2025-12-21", "--feed", "gate", "--cache", cache, ADDRESS)
    content = {path.name for path in cache.rglob("*") if path.is_file() and path.stat().st_mode & 0o400}
    assert content == {"gate.jsonl.zst", ".lock"}


def test_a_cache_is_used_again_and_bounded(read, storage, tmp_path):
    cache = tmp_path / "cache"
    first = read("cat", "--cache", cache, ADDRESS)
    kept = {path: path.stat().st_ino for path in cache.rglob("2025*/*.zst")}
    assert len(kept) == 4
    assert read("cat", "--cache", cache, ADDRESS) == first == ssmd("cat", storage)
    assert {path: path.stat().st_ino for path in kept} == kept
    size = next(iter(kept)).stat().st_size
    read("cat", "--cache", cache, "--cache-size", str(size * 2), ADDRESS)
    assert sum(path.stat().st_blocks * 512 for path in kept) < size * 3 + 4096 * 4


def test_two_commands_do_not_share_a_cache_at_once(read, tmp_path):
    import fcntl

    cache = tmp_path / "cache"
    cache.mkdir()
    with open(cache / ".lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = read("cat", "--cache", cache, ADDRESS)
    assert (ended.returncode, ended.stderr.count("\n")) == (64, 1)
    assert "another ssmd command uses this folder" in ended.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_day_in_parquet_is_read_too(server, read, tmp_path, jobs):
    bucket = server.bucket(Address(BUCKET, f"parquet{jobs}"))
    storage = tmp_path / "data"
    for day in SEALED:
        make_day(storage, day, per_hour=20)
    printed = ssmd("cat", storage)
    assert ssmd("compact", "--parquet", storage).returncode == 0
    for path in sorted(storage.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            bucket.put_new(path.relative_to(storage).as_posix(), path)
    address = f"s3://{BUCKET}/parquet{jobs}"
    assert read("cat", "--jobs", jobs, address) == printed
    verified = read("verify", "--jobs", jobs, address)
    assert verified.returncode == 0, verified.stdout
    assert "2025-12-20" in read("report", "--days", "9", address).stdout
    exported = read("export", address, "--to", tmp_path / "lake", "--jobs", jobs)
    assert exported.returncode == 0, exported.stderr
    assert ssmd("export", storage, "--to", tmp_path / "other").returncode == 0
    lake, other = (
        {one.relative_to(tmp_path / name) for one in (tmp_path / name).rglob("*.parquet")} for name in ("lake", "other")
    )
    assert lake == other != set()


@pytest.mark.parametrize(
    ("address", "code", "text"),
    [
        (f"s3://{BUCKET}/nothing", 64, f"s3://{BUCKET}/nothing: there is no data of ssmd in this bucket under this"),
        (f"s3://{BUCKET}/read/2020-01-01", 64, "there is no data of ssmd"),
        ("s3://no-such-bucket/read", 78, "there is no such bucket"),
        ("s3://", 64, "is no address of a bucket"),
    ],
)
@pytest.mark.parametrize("command", ["cat", "verify", "report"])
def test_a_wrong_address_is_one_clear_error(read, command, address, code, text):
    ended = read(command, address)
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1)
    assert text in ended.stderr


def test_wrong_or_no_credentials_are_one_clear_error(read):
    ended = read("cat", ADDRESS, AWS_SECRET_ACCESS_KEY="wrong-secret-0123456789")
    assert (ended.returncode, ended.stderr.count("\n")) == (77, 1)
    none = read("cat", ADDRESS, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert none.returncode == 77
    assert "there are no credentials" in none.stderr


def test_a_server_that_is_not_there_is_one_clear_error(read):
    ended = read("verify", ADDRESS, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    assert (ended.returncode, ended.stderr.count("\n")) == (69, 1)
    assert "cannot connect" in ended.stderr


@pytest.mark.parametrize("cache", [False, True])
def test_a_day_is_replayed(server, storage, tmp_path, cache):
    options = ["--cache", tmp_path / "cache"] if cache else []
    (tmp_path / "tmp").mkdir()
    variables = environment(server.endpoint, READER, tmp_path / "tmp")
    arguments = ("--listen", "127.0.0.1:0", "--speed", "0", "--feed", "gate", *options, f"{ADDRESS}/2025-12-20")
    with Process("replay", *arguments, **variables) as replay:
        serving = replay.wait_for("serving")
        assert serving["replay"] == f"{ADDRESS}/2025-12-20"
        (tmp_path / "run").mkdir()
        endpoint = serving["endpoint"].replace("/trade-api/ws/v2", "/any")
        with Collector(tmp_path / "run", endpoint, exchange="generic") as collector:
            assert collector.wait(PATIENCE) == 75
        assert replay.end() == 0
    ours, theirs = (
        ssmd("cat", "--raw", path).stdout for path in (collector.data, storage / "2025-12-20" / "gate.jsonl")
    )
    assert ours == theirs
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_command_that_is_ended_leaves_nothing(server, storage, tmp_path):
    variables = environment(server.endpoint, KEY, tmp_path)
    process = start("cat", ADDRESS, **variables)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    process.wait()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_command_has_left_the_next_one_removes(server, storage, tmp_path):
    variables = environment(server.endpoint, KEY, tmp_path)
    process = start("cat", ADDRESS, **variables)
    assert process.stdout is not None
    assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    assert len(list(tmp_path.iterdir())) == 1
    assert ssmd("cat", "--feed", "gate", ADDRESS, **variables).returncode == 0
    assert list(tmp_path.iterdir()) == []
