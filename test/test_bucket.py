import subprocess
import sys
from typing import Any

import pytest

from ssmd.bucket import open_bucket
from ssmd.bucket.address import Address
from ssmd.errors import ConfigError


def test_the_library_is_imported_only_for_a_client():
    code = "import sys, ssmd.bucket, ssmd.bucket.address; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_library_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    monkeypatch.delitem(sys.modules, "ssmd.bucket.client", raising=False)
    with pytest.raises(ConfigError, match=r"s3://lake/x needs the Python package boto3.*ssmd\[s3\]"):
        open_bucket(Address("lake", "x"))


@pytest.mark.parametrize(
    ("endpoint", "variable", "url"),
    [
        (None, None, "https://lake.s3.eu-central-1.amazonaws.com/x/day"),
        (None, "http://minio.example.com:9000", "http://minio.example.com:9000/lake/x/day"),
        ("http://minio.example.com:9000", None, "http://minio.example.com:9000/lake/x/day"),
    ],
)
def test_only_aws_has_the_name_of_the_bucket_in_that_of_the_host(monkeypatch, endpoint, variable, url):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", variable)
    key = {"access_key_id": "me", "secret_access_key": "secret"}
    bucket = open_bucket(Address("lake", "x"), region="eu-central-1", endpoint=endpoint, credentials=key)
    sent: list[str] = []

    def stop(request: Any, **others: Any) -> None:
        sent.append(request.url)
        raise InterruptedError

    bucket._client.meta.events.register("before-send.s3", stop)
    with pytest.raises(InterruptedError):
        bucket._client.get_object(Bucket="lake", Key="x/day")
    assert set(sent) == {url}
