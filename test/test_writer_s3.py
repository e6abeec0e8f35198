"""The storage of the type s3: its fields, its companions, and what the ledger says when the bucket was not asked."""

import os

import pytest
from metadata_texts import ENVIRONMENT
from writer_runs import NOON, begin, ledger, put

from ssmd.bucket.address import Address
from ssmd.contracts.companion import UPLOAD
from ssmd.contracts.shard import Shard
from ssmd.errors import AlreadyCollected
from ssmd.metadata.document import parse
from ssmd.metadata.fields import Model
from ssmd.metadata.model import Environment
from ssmd.metadata.validation import validate
from ssmd.runtime.status import Status
from ssmd.store.joining import joined_path
from ssmd.writer.day import lock_files
from ssmd.writer.s3 import S3Storage, S3Writer


def problems(text: str) -> list[str]:
    sections: dict[tuple[str | int, ...], type[Model] | None] = {("storage",): S3Storage}
    document = parse(f"name: x\nfeed: y\nstorage: {{type: s3, path: data, {text}}}\n".encode(), "x")
    return [f"{problem.field}: {problem.message}" for problem in validate(document, Environment, sections).problems]


@pytest.mark.parametrize(
    "text",
    [
        "bucket: market-data",
        "bucket: market.data, prefix: /capture/prod/, region: eu-central-1, live_seconds: 0, keep_days: 30",
        "bucket: b_2, endpoint: 'https://minio.example:9000', format: parquet, live_seconds: 60",
        "bucket: abc, endpoint: 'http://127.0.0.1:8333/'",
    ],
)
def test_these_are_right(text):
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("prefix: a", "storage.bucket", "required"),
        ("bucket: 's3://market-data'", "storage.bucket", "write the name alone, without s3://"),
        ("bucket: market-data/prod", "storage.bucket", "and the prefix in `prefix`"),
        ("bucket: abc, prefix: a//b", "storage.prefix", "one `/` between parts"),
        ("bucket: abc, prefix: ../b", "storage.prefix", "may have letters, digits"),
        ("bucket: abc, prefix: 'a b'", "storage.prefix", "may have letters, digits"),
        ("bucket: abc, endpoint: minio:9000", "storage.endpoint", "must be a URL such as https://"),
        ("bucket: abc, endpoint: 'https://minio/bucket'", "storage.endpoint", "without a path"),
        ("bucket: abc, endpoint: 'https://me:secret@minio'", "storage.endpoint", "has a user in it"),
        ("bucket: abc, live_seconds: -1", "storage.live_seconds", "0"),
        ("bucket: abc, live_seconds: 0.5", "storage.live_seconds", "must be 0, or 1 at least"),
        ("bucket: abc, keep_days: 0", "storage.keep_days", "1"),
        ("bucket: abc, format: csv", "storage.format", "parquet"),
        ("bucket: abc, bukcet: b", "storage.bukcet", "did you mean"),
    ],
)
def test_these_are_wrong(text, field, words):
    [problem] = problems(text)
    assert problem.startswith(f"{field}: ")
    assert words in problem
    assert "secret" not in problem


def test_an_endpoint_of_a_local_storage_has_no_effect():
    document = parse((ENVIRONMENT.replace("path: data", "path: data, endpoint: x")).encode(), "x")
    found = [problem.field for problem in validate(document, Environment, {}).problems]
    assert "storage.endpoint" in found


def test_the_writer_declares_what_uploads_its_files(tmp_path):
    config = S3Storage(type="s3", path=str(tmp_path), bucket="abc", prefix="/capture/")
    assert config.address == Address("abc", "capture")
    writer = S3Writer(config, "kalshi", shard=Shard(2, 4), status=Status())
    [upload] = [companion for companion in writer.companions() if companion.name == UPLOAD]
    words = ("ship", "{environment}", "--config-dir", "{config_dir}", "--engine", "s3", "--shard", "2/4")
    assert tuple(upload.arguments) == words
    assert upload.keys == ("s3",)
    assert "AWS_" in upload.variables


def writer(tmp_path, status: Status, feed: str = "kalshi", shard: Shard | None = None) -> S3Writer:
    config = S3Storage(type="s3", bucket="market-data", prefix="prod", path=str(tmp_path))
    return S3Writer(config, feed, shard=shard or Shard(1, 1), status=status, clock=lambda: NOON)


def test_what_restores_comes_first_and_what_uploads_last(tmp_path):
    found = writer(tmp_path, Status(), shard=Shard(2, 4)).companions()
    assert [(one.name, one.first) for one in found] == [("restore", True), ("seal", False), ("upload", False)]
    assert all("2/4" in one.arguments for one in found)


def test_a_listing_leaves_that_to_its_feed(tmp_path):
    assert [one.name for one in writer(tmp_path, Status(), "kalshi.listing").companions()] == ["seal"]


@pytest.mark.parametrize("why", ["", "the bucket cannot be reached"])
def test_the_ledger_says_when_the_bucket_was_not_asked(tmp_path, why):
    status = Status()
    status.unprepared = why
    one = writer(tmp_path, status)
    one.open()
    try:
        begin(one, NOON)
        put(one, NOON, b"{}")
    finally:
        one.close()
    events = [entry["event"] for entry in ledger(tmp_path)]
    assert events == (["apart"] if why else []) + ["started", "connected"]
    if why:
        assert {"copy": "s3://market-data/prod", "why": why}.items() <= ledger(tmp_path)[0].items()


def test_two_parts_that_were_being_put_together_are_as_before(tmp_path):
    folder = tmp_path / "2025-12-22"
    folder.mkdir()
    joined_path(folder / "kalshi.jsonl").write_bytes(b"half")
    one = writer(tmp_path, Status())
    one.open()
    one.close()
    assert not list(folder.glob("*.new"))


def test_a_restore_at_work_on_the_files_is_not_disturbed(tmp_path):
    """It holds the lock of a collector, and what it has written under other names is not for another one to remove."""
    folder = tmp_path / "2025-12-22"
    folder.mkdir()
    half = joined_path(folder / "kalshi.jsonl")
    half.write_bytes(b"half")
    lock = lock_files(tmp_path, "kalshi")
    try:
        with pytest.raises(AlreadyCollected):
            writer(tmp_path, Status()).open()
    finally:
        os.close(lock)
    assert half.read_bytes() == b"half"
