"""`ssmd ship` and `ssmd run` with a real S3 server."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TypeVar

import pytest
import zstandard
from canaries import leaked, pieces
from process import ssmd
from s3_runs import FEED, VARIABLES, Site
from s3_server import READER, S3Server
from ship_runs import wait_until

from ssmd.errors import EngineError
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.packer import Packer
from ssmd.reading.blocks import LineBlocks
from ssmd.shipping.s3.packing import Packing
from ssmd.shipping.s3.sealed import SealedDay
from ssmd.store.file_kinds import MANIFEST
from ssmd.store.timestamps import day_of_ns
from ssmd.tables.packer import ParquetPacker

T = TypeVar("T")


@pytest.fixture
def site(tmp_path, server):
    return Site(tmp_path, server)


def error(ended) -> str:
    [last] = [entry for line in ended.stderr.splitlines() if "exit_code" in (entry := json.loads(line))]
    return last["event"]


def test_sealed_days_are_uploaded_once_with_the_manifest_last(site):
    for day in ("2026-01-30", "2026-01-31"):
        site.write(day, 2500)
    site.write("2026-01-31", 10, f"{FEED}.listing")
    (site.data / "2026-01-31" / f"{FEED}.jsonl.torn").write_bytes(b'{"ts":\n')
    site.seal()
    ended = site.ship("--once")
    assert ended.returncode == 0, ended.stderr
    assert site.differences() == []
    assert len(site.complete_days()) == 3
    last = json.loads(ended.stderr.splitlines()[-1])
    assert (last["event"], last["messages"], last["failures"]) == ("stopped", 5010, 0)
    again = json.loads(site.ship("--once").stderr.splitlines()[-1])
    assert again["messages"] == 0
    assert not list(site.data.glob(".*.upload"))


def test_a_day_that_is_there_and_differs_is_left_as_it_is_and_the_others_go_up(site):
    site.write("2026-01-30", 5)
    site.write("2026-01-31", 5)
    site.seal()
    site.bucket.put_new(f"2026-01-30/{FEED}.jsonl.zst", b"other")
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert "with another content" in error(ended)
    assert list(site.complete_days()) == [("2026-01-31", FEED)]
    assert site.bucket.get(f"2026-01-30/{FEED}.jsonl.zst") == b"other"


def test_the_same_lines_in_another_compression_are_right(site):
    data = site.write("2026-01-30", 5000)
    site.seal()
    site.bucket.put_new(f"2026-01-30/{FEED}.jsonl.zst", zstandard.ZstdCompressor(level=1).compress(data))
    assert site.ship("--once").returncode == 0
    assert site.differences() == []


def test_data_that_does_not_match_its_manifest_is_not_uploaded(site):
    site.write("2026-01-30", 5)
    site.seal()
    path = site.data / "2026-01-30" / f"{FEED}.jsonl"
    path.write_bytes(path.read_bytes().replace(b"KX-3", b"KX-7"))
    ended = site.ship("--once")
    assert ended.returncode == 65
    assert "does not match its manifest" in error(ended)
    assert site.complete_days() == {}


@pytest.mark.parametrize(
    ("storage", "variables", "code", "words"),
    [
        ({"bucket": "no-such-bucket"}, {}, 78, "no such bucket; create it"),
        ({}, {"S3_SECRET": "wrong-secret"}, 77, "secret access key is wrong"),
        ({}, {"S3_ID": READER["access_key_id"], "S3_SECRET": READER["secret_access_key"]}, 77, "may not do this"),
        ({"endpoint": "http://127.0.0.1:1"}, {}, 69, "cannot connect (Connection refused)"),
    ],
)
def test_what_is_refused_ends_once_with_one_sentence(site, storage, variables, code, words):
    site.write("2026-01-30", 5)
    site.seal()
    site.configure(**storage)
    ended = site.ship("--once", **variables)
    assert ended.returncode == code
    assert words in error(ended)
    assert "Traceback" not in ended.stderr


def test_a_clock_that_is_wrong_is_named(site, faketime_library):
    ended = site.ship("--check", LD_PRELOAD=str(faketime_library), FAKETIME="-2h")
    assert ended.returncode == 69
    assert "clocks of this host and of the server differ too much; set the clock right" in error(ended)


def test_validate_names_the_bucket(site):
    ended = ssmd("validate", "--config-dir", site.tree)
    assert f"test.yaml: ships to {site.bucket.address}\n" in ended.stdout
    assert ended.returncode == 0


def test_the_engine_has_to_be_named_where_there_are_two(tmp_path, server):
    site = Site(tmp_path, server, environment="transport: {type: file, path: copy}\n")
    ended = site.ship("--once")
    assert ended.returncode == 64
    assert error(ended) == "the environment test ships to `file`, `s3`; name one of them with --engine"
    assert site.ship("--once", "--engine", "s3").returncode == 0


def test_no_piece_of_a_key_is_shown(tmp_path, server, monkeypatch):
    secret = uuid.uuid4().hex + uuid.uuid4().hex
    monkeypatch.setitem(VARIABLES, "S3_SECRET", secret)
    site = Site(tmp_path, server)
    site.write("2026-01-30", 5)
    site.seal()
    output = {"once": "".join(site.ship("--once")[1:]), "check": "".join(site.ship("--check")[1:])}
    with site.collect() as collector:
        collector.start_up()
        wait_until(lambda: (json.loads(collector.get("/status")[1])["uploading"] or {}).get("error"))
        output |= {path: collector.get(path)[1] for path in ("/status", "/metrics")}
        collector.end()
        output["log"] = json.dumps(collector.events) + "".join(collector.other)
    output |= {str(path): path.read_text("utf-8", "replace") for path in site.data.rglob("*") if path.is_file()}
    assert "secret access key is wrong" in output["log"]
    assert leaked(output, pieces(secret)) == []


def test_check_names_the_bucket_and_sends_nothing(site):
    ended = site.ship("--check")
    assert (ended.returncode, ended.stdout) == (0, f"ok: test can be shipped to {site.bucket.address}\n")
    assert list(site.bucket.list()) == []


def test_lines_of_today_go_up_in_segments_and_the_last_ones_at_the_end(tmp_path, server):
    site = Site(tmp_path, server, "sim://kalshi?rate=200", live_seconds=1)
    with site.collect() as collector:
        collector.start_up()
        today = day_of_ns(time.time_ns())
        wait_until(lambda: site.live(today)[0].count(b"\n") > 400)
        wait_until(lambda: (json.loads(collector.get("/status")[1])["uploading"] or {}).get("up"))
        uploading = json.loads(collector.get("/status")[1])["uploading"]
        assert uploading["day_overdue_seconds"] == 0
        assert uploading["until"]["day"] == today
        metrics = collector.get("/metrics")[1]
        assert 'ssmd_ship_up{engine="s3"' in metrics
        assert collector.end() == 0
    lines, ledger = site.live(today)
    assert lines == (site.data / today / f"{FEED}.jsonl").read_bytes()
    assert ledger == (site.data / today / f"{FEED}.ledger.jsonl").read_bytes()


@pytest.mark.parametrize("damaged", [False, True])
def test_lines_whose_age_cannot_be_seen_go_up_too(tmp_path, server, damaged):
    """As when the clock was set back: their time is still to come. Or the first of them is damaged."""
    site = Site(tmp_path, server, live_seconds=1)
    day = day_of_ns(time.time_ns())
    data = site.write(day, 5, first=86_390)
    if damaged:
        data = b'{"ts":"no time at all' + data[21:]
        (site.data / day / f"{FEED}.jsonl").write_bytes(data)
    with site.shipping():
        wait_until(lambda: site.live(day)[0] == data)


def test_segments_are_removed_when_the_day_has_their_very_bytes(site):
    yesterday = day_of_ns(time.time_ns() - 24 * 3600 * 10**9)
    prefix = f"{yesterday}/live/{FEED}/"
    site.write(yesterday, 1000)
    assert site.ship("--once").returncode == 0
    site.write(yesterday, 500, first=1000)
    assert site.ship("--once").returncode == 0
    foreign = f"{prefix}000000000001-000000000002.jsonl.zst"
    site.bucket.put_new(foreign, zstandard.ZstdCompressor().compress(b"other\nlines\n"))
    assert len(list(site.bucket.list(prefix))) == 5
    site.seal()
    ended = site.ship("--once")
    assert ended.returncode == 0
    assert "segment has lines that the uploaded day does not have, and is kept" in ended.stderr
    assert site.differences() == []
    assert [found.name for found in site.bucket.list(prefix)] == [foreign]


def test_a_restart_goes_on_behind_what_the_bucket_has(site):
    today = day_of_ns(time.time_ns())
    site.configure(live_seconds=1)
    one = site.write(today, 1000)
    assert site.ship("--once").returncode == 0
    two = site.write(today, 500, first=1000)
    assert site.ship("--once").returncode == 0
    assert site.live(today)[0] == one + two
    assert len(list(site.bucket.list())) == 4
    path = site.data / today / f"{FEED}.jsonl"
    path.write_bytes(path.read_bytes().replace(b"KX-1200", b"KX-1201"))
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert "has other lines than" in error(ended)
    path.write_bytes(one)
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert "`ssmd run` restores today's file from the bucket" in error(ended)


def fill(site: Site) -> None:
    """Put objects until the server has no more space."""
    with suppress(EngineError):
        for number in range(20):
            site.bucket.put_new(f"filler-{number}", os.urandom(8_000_000))
        raise AssertionError("the server is not full")


@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
def test_a_day_goes_up_in_the_form_that_the_storage_names_and_the_file_here_stays(site, form):
    data = site.write("2026-01-30", 5000)
    site.seal()
    site.configure(format=form)
    ended = site.ship("--once")
    assert ended.returncode == 0, ended.stderr
    assert site.differences() == []
    names = [found.name for found in site.bucket.list()]
    assert all(name.startswith(f"2026-01-30/{FEED}.{form}") for name in names[:-1] if not name.endswith(MANIFEST))
    assert any(form in name for name in names)
    assert (site.data / "2026-01-30" / f"{FEED}.jsonl").read_bytes() == data


def sealed_day(site: Site, day: str, packer: Packer, packing: type[Packing] = Packing) -> SealedDay:
    return SealedDay(site.bucket, site.data / day, FEED, packing(packer, site.data / ".scratch"))


class Compacted(Packing):
    """Is asked for a day that `ssmd compact --parquet` packs as soon as it is proved."""

    @contextmanager
    def of(self, folder, stem, manifest):
        with super().of(folder, stem, manifest) as packed:
            assert ssmd("compact", folder.parent, "--parquet").returncode == 0
            yield packed


def test_a_day_that_is_compacted_meanwhile_is_uploaded_the_next_time(site):
    site.write("2026-01-30", 500)
    site.seal()
    assert ssmd("compact", site.data).returncode == 0
    assert not sealed_day(site, "2026-01-30", ZstPacker(9), Compacted).upload()
    assert site.complete_days() == {}
    assert sealed_day(site, "2026-01-30", ZstPacker(9)).upload()
    assert list(site.complete_days()) == [("2026-01-30", FEED)]


@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
@pytest.mark.parametrize("left", ["parquet/type=old/part-0000.parquet", "jsonl"])
def test_an_object_that_readers_would_take_for_a_part_of_the_day_stops_it(site, form, left):
    site.write("2026-01-30", 5)
    site.seal()
    site.configure(format=form)
    site.bucket.put_new(f"2026-01-30/{FEED}.{left}", b"of an upload that was killed")
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert f"{FEED}.{left}: is not a part of the day as it is here" in error(ended)
    assert site.complete_days() == {}


def test_the_same_lines_in_another_format_may_be_beside_them(site):
    site.write("2026-01-30", 500)
    site.seal()
    assert ssmd("compact", site.data, "--parquet").returncode == 0
    name = f"2026-01-30/{FEED}.jsonl.zst"
    site.bucket.put_new(name, zstandard.compress(b"".join(LineBlocks(site.data / f"2026-01-30/{FEED}.parquet"))))
    assert sealed_day(site, "2026-01-30", ParquetPacker()).upload()


def test_a_server_that_is_full_is_an_error_and_nothing_looks_complete(tmp_path):
    server = S3Server(tmp_path, volumes=1)
    try:
        (tmp_path / "site").mkdir()
        site = Site(tmp_path / "site", server)
        site.write("2026-01-30", 5)
        site.seal()
        fill(site)
        ended = site.ship("--once")
        assert ended.returncode == 69
        assert "the server answers 500 InternalError" in error(ended)
        assert site.complete_days() == {}
    finally:
        server.kill()


def answered(ask: Callable[[], T]) -> T | None:
    """Return what is asked for, None when the server cannot give it now."""
    with suppress(EngineError):
        return ask()
    return None


def test_a_server_that_is_killed_is_waited_for(tmp_path):
    server = S3Server(tmp_path)
    try:
        (tmp_path / "site").mkdir()
        site = Site(tmp_path / "site", server)
        for number in range(1, 10):
            site.write(f"2026-01-0{number}", 20_000)
        site.seal()
        with site.shipping() as ship:
            ship.wait_for("day uploaded")
            server.kill()
            site.write("2026-01-10", 20_000)  # It may have had nothing left to upload.
            site.seal()
            failed = ship.wait_for("the engine failed")
            assert "check that the endpoint is right and the server works" in failed["reason"]
            server.start()
            # For a while after its start the server answers some requests with an internal error.
            wait_until(lambda: len(answered(site.complete_days) or ()) == 10)
            assert ship.end() == 0
        assert site.differences() == []
    finally:
        server.kill()


def test_a_frozen_server_is_waited_for(tmp_path, server):
    site = Site(tmp_path, server)
    site.write("2026-01-30", 100)
    site.seal()
    server.freeze()
    try:
        with site.shipping() as ship:
            ship.wait_for("starting")
            time.sleep(1)
            server.thaw()
            wait_until(lambda: site.complete_days())
            ship.process.send_signal(signal.SIGTERM)
            assert ship.wait() == 0
    finally:
        server.thaw()
    assert site.differences() == []
