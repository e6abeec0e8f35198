"""The client for a bucket. This imports botocore, of which boto3 is made: open_bucket() imports this.

Every request has a deadline, and botocore repeats one that fails once. All methods raise EngineError, EngineAuthError,
EngineMismatch and ConfigError.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import botocore.session
from botocore.exceptions import ClientError

from ssmd.bucket.address import Address
from ssmd.bucket.failures import Failures, code_of
from ssmd.bucket.objects import Found, ObjectDiffers
from ssmd.bucket.parts import LARGEST_PUT, PART_BYTES, PartsUpload
from ssmd.bucket.settings import client_settings
from ssmd.errors import EngineError
from ssmd.store.durable import open_new

__all__ = ["Bucket", "Found", "ObjectDiffers"]

_CHUNK = 1024 * 1024
_TAKEN = ("PreconditionFailed", 412)
_CONFLICT = ("ConditionalRequestConflict", "OperationAborted")
_MISSING = ("NoSuchKey", "404", "NotFound")


class Bucket:
    """A storage in a bucket. Names are those within it: keys without its prefix. For several threads."""

    def __init__(
        self,
        address: Address,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        credentials: Mapping[str, str],
        ca_file: str | None = None,
        largest_put: int = LARGEST_PUT,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.address = address
        self._failures = Failures(address, lambda: str(self._client.meta.endpoint_url), credentials.values())
        self._largest_put = largest_put
        self._part_bytes = part_bytes
        with self._failures.around_settings():
            session = botocore.session.get_session()
            self._client: Any = session.create_client(
                "s3",
                region_name=region or session.get_config_variable("region") or "us-east-1",
                endpoint_url=endpoint,
                aws_access_key_id=credentials.get("access_key_id") or credentials.get("access_key"),
                aws_secret_access_key=credentials.get("secret_access_key") or credentials.get("secret_key"),
                aws_session_token=credentials.get("session_token"),
                config=client_settings(endpoint),
                verify=ca_file,
            )

    def put_new(self, name: str, content: Path | bytes) -> bool:
        """Put an object that is not there yet; return False when it is there with the same content.

        The server checks the content's SHA-256. Raises ObjectDiffers when another object has the name: nothing is ever
        overwritten. Raises OSError for a file that cannot be read.
        """
        with open(content, "rb") if isinstance(content, Path) else BytesIO(content) as file:
            size = file.seek(0, 2)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").digest()
            file.seek(0)
            try:
                with self._failures.around(name):
                    self._put(name, file, size, digest)
            except _Taken:
                self.require_same(name, size, digest.hex())
                return False
        self._require_stored(name, size, digest.hex())
        return True

    def _require_stored(self, name: str, size: int, sha256: str) -> None:
        """Raise EngineError unless the server says that it has what was put."""
        found = self.find(name)
        if found is None or found.size != size or found.sha256 not in (None, sha256):
            raise EngineError(f"{self.address}/{name}: the server accepted it and does not have it; look into its log")

    def _put(self, name: str, file: BinaryIO, size: int, digest: bytes) -> None:
        """Put an object. Raises _Taken when there is one of that name, and what botocore raises."""
        target = {"Bucket": self.address.bucket, "Key": self.address.key(name)}
        try:
            if size > self._largest_put:
                PartsUpload(self._client, target, self._part_bytes).send(file, size)
            else:
                checksum = base64.b64encode(digest).decode("ascii")
                self._client.put_object(
                    **target, Body=file, ContentLength=size, IfNoneMatch="*", ChecksumSHA256=checksum
                )
        except ClientError as error:
            code, status = code_of(error)
            if code in _CONFLICT:
                reason = "another process is writing it; a later attempt may succeed"
                raise EngineError(f"{self.address}/{name}: {reason}") from None
            if code in _TAKEN or status in _TAKEN:
                raise _Taken from None
            raise

    def require_same(self, name: str, size: int, sha256: str) -> None:
        """Raise ObjectDiffers unless an object is there with this content: `size` in bytes, `sha256` in hex.

        The server is asked for its checksum. One that has none sends the object, which is read.
        """
        found = self.find(name)
        if found is None:
            raise EngineError(f"{self.address}/{name}: was there and is gone; a later attempt may succeed")
        there = (found.sha256 or self._digest(name)) if found.size == size else None
        if there != sha256:
            raise ObjectDiffers(
                f"{self.address}/{name}: is there already, with another content ({found.size:,} bytes, here {size:,}); "
                "nothing is overwritten: find out which one is right, and move the other one away"
            )

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        for piece in self.read(name):
            digest.update(piece)
        return digest.hexdigest()

    def find(self, name: str) -> Found | None:
        """Return an object, with its checksum if the server has one of the whole; None when there is none."""
        try:
            with self._failures.around(name):
                try:
                    answer = self._client.head_object(**self._target(name), ChecksumMode="ENABLED")
                except ClientError as error:
                    if code_of(error)[0] in _MISSING:
                        raise _Missing from None
                    raise
        except _Missing:
            self._require_bucket()
            return None
        checksum = answer.get("ChecksumSHA256")
        whole = checksum is not None and answer.get("ChecksumType") != "COMPOSITE" and "-" not in checksum
        sha256 = base64.b64decode(checksum).hex() if whole else None
        return Found(name, int(answer["ContentLength"]), sha256)

    def _require_bucket(self) -> None:
        """Raise EngineMismatch when there is no bucket: the answer to HEAD does not say what is missing."""
        with self._failures.around():
            self._client.list_objects_v2(Bucket=self.address.bucket, Prefix=self.address.key(""), MaxKeys=1)

    def get(self, name: str) -> bytes:
        """Return the content of an object. Raises EngineError when there is none."""
        return b"".join(self.read(name))

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of an object, in pieces. Raises EngineError when there is none."""
        with self._failures.around(name):
            answer = self._client.get_object(**self._target(name), ChecksumMode="ENABLED")
            size, read = int(answer["ContentLength"]), 0
            for piece in answer["Body"].iter_chunks(_CHUNK):
                read += len(piece)
                yield piece
        if read != size:
            raise EngineError(f"{self.address}/{name}: {read:,} of {size:,} bytes came; a later attempt may succeed")

    def download(self, name: str, path: Path) -> None:
        """Write the content of an object to a file, which replaces one of that name and is not synced.

        Raises OutputError and OSError for the file.
        """
        with open_new(path) as file:
            for piece in self.read(name):
                file.write(piece)

    def list(self, prefix: str = "") -> Iterator[Found]:
        """Yield the objects whose names begin with `prefix`, in the order of their names."""
        with self._failures.around(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.address.bucket, Prefix=self.address.key(prefix)):
                for found in page.get("Contents", ()):
                    put = int(found["LastModified"].timestamp())
                    yield Found(self.address.name(found["Key"]), int(found["Size"]), modified=put)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Yield what is below `prefix` as folders would be, such as `2026-01-31/`: up to the next slash."""
        with self._failures.around(prefix):
            pages = self._client.get_paginator("list_objects_v2")
            key = self.address.key(prefix)
            for page in pages.paginate(Bucket=self.address.bucket, Prefix=key, Delimiter="/"):
                for found in page.get("CommonPrefixes", ()):
                    yield self.address.name(found["Prefix"])

    def delete(self, name: str) -> None:
        """Remove an object. That there is none is no error."""
        with self._failures.around(name):
            self._client.delete_object(**self._target(name))

    def abort_unfinished(self, prefix: str, is_ours: Callable[[str], bool] = lambda name: True) -> int:
        """Abort the multipart uploads that a killed process has begun below a prefix; return how many.

        `is_ours`: whether a name is of an object that only this process puts.
        """
        count = 0
        with self._failures.around(prefix):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.address.bucket, Prefix=self.address.key(prefix)):
                for upload in page.get("Uploads", ()):
                    if not is_ours(self.address.name(upload["Key"])):
                        continue
                    self._client.abort_multipart_upload(
                        Bucket=self.address.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    count += 1
        return count

    def _target(self, name: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": self.address.key(name)}

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._client.close()


class _Taken(Exception):
    """There is an object of that name."""


class _Missing(Exception):
    """There is no object of that name."""
