"""The uploaders in the test's own process, at a real S3 server: what they do when something goes on beside them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ssmd
from recorded import make_day
from s3_runs import FEED, Site
from s3_server import S3Server
from s3_storage import put_segments

from ssmd.bucket.client import Bucket
from ssmd.contracts.shard import WHOLE
from ssmd.errors import EngineError
from ssmd.proof.pack_zst import ZstPacker
from ssmd.shipping.plan import DAY, LIVE, RelayState
from ssmd.shipping.s3.days import DaysUploader
from ssmd.shipping.s3.live import LiveUploader
from ssmd.shipping.s3.parts import Part
from ssmd.shipping.s3.uploader import Plan
from ssmd.store.inventory import data_files
from ssmd.store.layout import ledger_path
from ssmd.store.ledger import decode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.locks import held
from ssmd.store.timestamps import day_begins

TODAY, YESTERDAY = "2026-02-01", "2026-01-31"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def site(tmp_path, server):
    return Site(tmp_path, server)


class Uploaders:
    """Both uploaders of a feed, as one process has them."""

    def __init__(self, site: Site, packer=None, bucket: Bucket | None = None, **plan) -> None:
        self.stopped = threading.Event()
        packer = packer or ZstPacker(1)
        self._plan = Plan(
            site.data, lambda: bucket or site.bucket, packer, 1.0, clock=lambda: day_begins(TODAY) + 10**9, **plan
        )
        self._lock = threading.Lock()
        self.days = self._make(DaysUploader, DAY)
        self.live = self._make(LiveUploader, LIVE)

    def _make(self, kind, part: str):
        return kind(self._plan, Part(FEED, WHOLE, part), self.stopped, self._lock, RelayState())

    @contextmanager
    def run(self, *uploaders):
        threads = [threading.Thread(target=one.run, name=type(one).__name__) for one in uploaders]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()


def wait_for(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_once_says_which_day_another_command_works_on(site):
    site.write("2026-01-30", 5)
    site.seal()
    [file] = data_files([site.data])
    packed = site.data / "2026-01-30" / f"{FEED}.jsonl.zst"
    assert ssmd("compact", site.data).returncode == 0
    assert packed.exists()
    put_segments_of(site, 7)
    with held(packed) as ours:
        assert ours
        ended = site.ship("--once")
    assert ended.returncode == 65, ended.stderr
    assert f"{file.path}: is not uploaded, because another ssmd command is working on it; run" in ended.stderr
    assert site.complete_days() == {}


def put_segments_of(site: Site, lines: int) -> None:
    """Put segments of a day into the bucket, of which the storage has the first lines only."""
    folder = site.data.parent / "other"
    whole = Site.__new__(Site)
    whole.data = folder
    whole.write("2026-01-30", lines)
    [file] = data_files([folder])
    ledger_path(file.path.parent, FEED).write_bytes(b"")
    put_segments(site.bucket, file, lines)


class Replaced(ZstPacker):
    """Somebody replaces the manifest while the day is packed."""

    def pack(self, file, new, manifest, progress) -> None:
        super().pack(file, new, manifest, progress)
        path = file.path.with_name(f"{FEED}.manifest.json")
        path.write_bytes(path.read_bytes().replace(b"\n", b" \n"))


def test_once_says_which_day_was_changed_meanwhile(site):
    site.write("2026-01-30", 5)
    site.seal()
    uploaders = Uploaders(site, Replaced(1), once=True)
    with pytest.raises(Exception, match=f"2026-01-30/{FEED}.jsonl: is not uploaded, because it was compacted, or its"):
        uploaders.days.run()


def test_a_bucket_that_was_mended_is_asked_again(site):
    site.write("2026-01-30", 5)
    site.seal()
    name = f"2026-01-30/{FEED}.jsonl.zst"
    site.bucket.put_new(name, b"other")
    uploaders = Uploaders(site, again_seconds=1.0)
    with uploaders.run(uploaders.days):
        wait_for(lambda: uploaders.days.state.error)
        site.bucket.delete(name)
        wait_for(site.complete_days)
        wait_for(lambda: uploaders.days.state.error is None)
    assert site.differences() == []


def test_an_object_that_is_gone_is_no_reason_to_end(site):
    with pytest.raises(EngineError) as error:
        site.bucket.get("2026-01-30/gone.jsonl.zst")
    assert error.value.exit_code == EngineError.exit_code
    assert "2026-01-30/gone.jsonl.zst: there is no such object (404 NoSuchKey), or not any longer" in str(error.value)


class Slow(Bucket):
    """Sends what comes from a segment slowly, so that another uploader sees the day while it is extended."""

    uploaders: Uploaders

    def read(self, name):
        if threading.current_thread().name == "DaysUploader" and name.endswith(".jsonl.zst"):
            live, before = self.uploaders.live.state, self.uploaders.live.state.measured
            wait_for(lambda: live.measured > before or self.uploaders.stopped.is_set())
        yield from super().read(name)


def test_while_yesterday_is_extended_no_error_is_logged(site, caplog):
    make_day(site.data, YESTERDAY, feed=FEED, connected=[(0, 12_000, "killed")], sealed=False)
    [file] = data_files([site.data])
    there = file.path.read_bytes()
    put_segments(site.bucket, file, 100, there.count(b"\n"))
    file.path.write_bytes(b"".join(there.splitlines(keepends=True)[:100]))
    ledger = ledger_path(file.path.parent, FEED)
    entries = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(entry for entry in entries if decode_entry(entry).line < 100))
    site.seal()
    site.bucket.__class__ = Slow
    uploaders = Uploaders(site)
    site.bucket.uploaders = uploaders
    with uploaders.run(uploaders.live, uploaders.days):
        wait_for(site.complete_days)
    assert site.complete_days() == {(YESTERDAY, FEED): there}
    assert not [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert uploaders.live.state.failures == 0


class Growing(Bucket):
    """The day has got another line whenever one of its segments is there."""

    file: Path
    uploaders: Uploaders

    def put_new(self, name, content):
        put = super().put_new(name, content)
        if name.endswith(".jsonl.zst") and not self.uploaders.stopped.is_set():
            with self.file.open("ab") as file:
                file.write(LineEncoder(FEED).encode(day_begins(TODAY) - 10**9, [b'{"n":1}']))
        return put


def test_an_upload_that_never_catches_up_is_up_and_its_lag_is_known(site):
    make_day(site.data, YESTERDAY, feed=FEED, sealed=False)
    [day] = data_files([site.data])
    site.bucket.__class__ = Growing
    uploaders = Uploaders(site)
    site.bucket.file, site.bucket.uploaders = day.path, uploaders
    live = uploaders.live.state
    with uploaders.run(uploaders.live):
        wait_for(lambda: live.up)
        assert live.lag_bytes is not None
        before = live.messages
        wait_for(lambda: live.messages > before + 3)
        assert live.up
