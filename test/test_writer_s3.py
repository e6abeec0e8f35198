"""The storage of the type s3: its fields, and the companion that it declares."""

import pytest
from metadata_texts import ENVIRONMENT

from ssmd.bucket.address import Address
from ssmd.contracts.companion import UPLOAD
from ssmd.contracts.shard import Shard
from ssmd.metadata.document import parse
from ssmd.metadata.fields import Model
from ssmd.metadata.model import Environment
from ssmd.metadata.validation import validate
from ssmd.runtime.status import Status
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
