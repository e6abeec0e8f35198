"""Buckets of S3 and of servers that speak its protocol: addresses, names of objects, and a client."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from ssmd.bucket.address import Address
from ssmd.errors import ConfigError
from ssmd.extras import S3

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["CREDENTIALS", "VARIABLES", "lack", "open_bucket"]

CREDENTIALS = (
    ("access_key_id", "secret_access_key"),
    ("access_key_id", "secret_access_key", "session_token"),
    ("access_key", "secret_key"),
)
"""The fields that a key of the type `s3` may have, each a way to log in. Existing environments have the last."""

VARIABLES = ("AWS_", "HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
"""Prefixes of the environment variables that boto3 reads: without a key in the environment's metadata it finds
credentials by itself (https://docs.aws.amazon.com/boto3/latest/guide/credentials.html)."""

_NONE: Mapping[str, str] = MappingProxyType({})


def open_bucket(
    address: Address,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    credentials: Mapping[str, str] = _NONE,
    ca_file: str | None = None,
) -> Bucket:
    """Return the client for a bucket; it asks the server nothing so far. The library is imported here, and only here.

    `region`: None for the one that AWS_REGION, AWS_DEFAULT_REGION or a profile names. `endpoint`: the URL of another
    server than that of AWS; None for AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, a profile's, or AWS. `credentials`: the
    fields of a key of the type `s3`; empty for boto3's own search. `ca_file`: the certificates of the authorities to
    trust; None for AWS_CA_BUNDLE, a profile's, or those that come with botocore.

    Raises ConfigError when boto3 is not installed, or settings are wrong.
    """
    if ca_file is not None:
        _require_certificates(ca_file)
    client = _client(address)
    bucket: Bucket = client.Bucket(
        address, region=region, endpoint=endpoint, credentials=credentials, ca_file=ca_file
    )
    return bucket


def _require_certificates(path: str) -> None:
    """Raise ConfigError for a file that has no certificates: botocore does not name it."""
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise ConfigError(f"storage.ca_file: {path} has no certificates in the form PEM") from None
    except OSError as error:
        raise ConfigError(f"storage.ca_file: cannot read {path}: {error.strerror}") from None


def lack(address: Address) -> str | None:
    """Return what has to be installed before a bucket can be used; None when nothing has."""
    try:
        _client(address)
    except ConfigError as error:
        return str(error)
    return None


def _client(address: Address) -> ModuleType:
    return S3.load("ssmd.bucket.client", f"the bucket {address}")
