"""The client of buckets, against a real server."""

import hashlib
import os
import threading

import pytest
from s3_server import ADDRESS, BUCKET, KEY, READER

from ssmd.bucket import open_bucket
from ssmd.bucket.address import Address
from ssmd.bucket.client import Bucket
from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineMismatch


@pytest.fixture
def bucket(server, request):
    """A storage of its own for each test."""
    return server.bucket(Address(BUCKET, request.node.name))


def small_parts(server, prefix: str) -> Bucket:
    """Return a client that puts what is larger than a byte in parts of 5 MiB, the smallest that servers allow."""
    return Bucket(
        Address(BUCKET, prefix),
        region="us-east-1",
        endpoint=server.endpoint,
        credentials=KEY,
        largest_put=1,
        part_bytes=5 * 1024**2,
    )


def test_what_is_put_is_there(bucket, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    assert bucket.put_new("2026-01-31/a.jsonl", b"one\n")
    assert bucket.put_new("2026-01-31/b.jsonl.zst", tmp_path / "file")
    assert bucket.put_new("2026-02-01/empty", b"")
    assert [(found.name, found.size) for found in bucket.list()] == [
        ("2026-01-31/a.jsonl", 4),
        ("2026-01-31/b.jsonl.zst", 3_000_000),
        ("2026-02-01/empty", 0),
    ]
    assert [found.name for found in bucket.list("2026-02")] == ["2026-02-01/empty"]
    assert list(bucket.folders()) == ["2026-01-31/", "2026-02-01/"]
    assert bucket.get("2026-01-31/a.jsonl") == b"one\n"
    assert b"".join(bucket.read("2026-01-31/b.jsonl.zst")) == b"x" * 3_000_000
    bucket.download("2026-01-31/a.jsonl", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"one\n"
    bucket.delete("2026-01-31/a.jsonl")
    bucket.delete("2026-01-31/a.jsonl")
    assert bucket.find("2026-01-31/a.jsonl") is None
    with pytest.raises(EngineError, match="no such object"):
        bucket.get("2026-01-31/a.jsonl")


def test_the_same_again_is_no_error_and_another_one_is(bucket):
    assert bucket.put_new("day", b"one\n")
    assert not bucket.put_new("day", b"one\n")
    with pytest.raises(EngineMismatch, match="is there already, with another content"):
        bucket.put_new("day", b"two\n")
    with pytest.raises(EngineMismatch, match=r"4 bytes, here 8"):
        bucket.put_new("day", b"one\none\n")
    assert bucket.get("day") == b"one\n"


def test_of_two_that_put_different_objects_at_once_one_wins(bucket):
    outcomes = {}
    threads = []

    def put(number: int) -> None:
        try:
            outcomes[number] = bucket.put_new("day", b"%d" % number)
        except (EngineError, EngineMismatch) as error:
            outcomes[number] = str(error)

    for number in range(4):
        threads.append(threading.Thread(target=put, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    [winner] = [number for number, outcome in outcomes.items() if outcome is True]
    assert bucket.get("day") == b"%d" % winner


def test_a_large_object_is_put_in_parts_under_the_same_condition(server, tmp_path):
    bucket = small_parts(server, "parts")
    content = os.urandom(12 * 1024**2)
    (tmp_path / "file").write_bytes(content)
    assert bucket.put_new("day", tmp_path / "file")
    assert bucket.get("day") == content
    assert not bucket.put_new("day", tmp_path / "file")
    (tmp_path / "file").write_bytes(content[::-1])
    with pytest.raises(EngineMismatch, match="with another content"):
        bucket.put_new("day", tmp_path / "file")
    assert hashlib.sha256(bucket.get("day")).digest() == hashlib.sha256(content).digest()
    assert bucket.abort_unfinished("") == 0


def test_parts_of_a_killed_process_are_removed(server):
    bucket = small_parts(server, "left")
    for name in ("2026-01-31/a", "2026-01-31/b"):
        bucket._client.create_multipart_upload(Bucket=BUCKET, Key=bucket.address.key(name))
    assert bucket.abort_unfinished("2026-01-31/a") == 1
    assert bucket.abort_unfinished("2026-01-31/") == 1
    assert bucket.abort_unfinished("") == 0


def test_the_fields_of_a_key_may_have_their_shorter_names(server):
    key = {"access_key": KEY["access_key_id"], "secret_key": KEY["secret_access_key"]}
    assert server.bucket(Address(BUCKET, "shorter"), key).put_new("day", b"one\n")


@pytest.mark.parametrize(
    ("key", "address", "error", "words"),
    [
        ({**KEY, "secret_access_key": "wrong-secret-01234"}, ADDRESS, EngineAuthError, "secret access key is wrong"),
        ({**KEY, "access_key_id": "nobody"}, ADDRESS, EngineAuthError, "does not know the access key id"),
        (READER, ADDRESS, EngineAuthError, "may not do this"),
        (KEY, Address("no-such-bucket"), EngineMismatch, "no such bucket; create it"),
    ],
)
def test_what_is_refused_is_said_in_one_sentence(server, key, address, error, words):
    bucket = server.bucket(address, key)
    with pytest.raises(error, match=words) as raised:
        bucket.put_new("day", b"one\n")
    assert "\n" not in str(raised.value)
    assert key["secret_access_key"] not in str(raised.value)


def test_a_bucket_that_is_missing_is_not_an_object_that_is_missing(server):
    with pytest.raises(EngineMismatch, match="no such bucket"):
        server.bucket(Address("no-such-bucket")).find("day")


def unreachable(endpoint: str) -> str:
    bucket = open_bucket(ADDRESS, endpoint=endpoint, credentials=KEY)
    with pytest.raises(EngineError) as raised:
        bucket.find("day")
    assert type(raised.value) is EngineError
    return str(raised.value)


def test_a_server_that_cannot_be_reached(server):
    assert "http://127.0.0.1:1: cannot connect (Connection refused); check that" in unreachable("http://127.0.0.1:1")
    assert "http://nowhere.invalid: cannot connect (" in unreachable("http://nowhere.invalid")
    assert "TLS fails (" in unreachable(f"https://127.0.0.1:{server.port}")


def test_without_credentials(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = open_bucket(ADDRESS, endpoint="http://127.0.0.1:1")
    with pytest.raises(EngineAuthError, match="no credentials for it; set AWS_ACCESS_KEY_ID"):
        bucket.find("day")


def test_credentials_are_found_by_boto3_itself(server, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text(
        "[lake]\n" + "".join(f"aws_{name} = {value}\n" for name, value in KEY.items()), encoding="ascii"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "lake")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    assert open_bucket(ADDRESS).find("day") is None
    monkeypatch.setenv("AWS_PROFILE", "sea")
    with pytest.raises(ConfigError, match=r"profile \(sea\) could not be found; correct"):
        open_bucket(ADDRESS)


@pytest.mark.parametrize("settings", [{"endpoint": "nonsense"}, {"region": "not a region"}])
def test_wrong_settings(settings):
    with pytest.raises(ConfigError, match="correct the region, the endpoint or the bucket"):
        open_bucket(ADDRESS, credentials=KEY, **settings).find("day")
