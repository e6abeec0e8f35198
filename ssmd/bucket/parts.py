"""Multipart uploads: for objects that are larger than one PUT may be. The condition holds when they are completed."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

__all__ = ["LARGEST_PUT", "PART_BYTES", "PartsUpload"]

LARGEST_PUT = 5 * 1000**3
"""Bytes, a little less than what one PUT may have:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

PART_BYTES = 64 * 1024**2
"""Bytes of a part, of which a process holds one. More where an object would have too many parts."""

_MOST_PARTS = 10_000


class PartsUpload:
    """Puts one object part by part. `target`: its `Bucket` and `Key`."""

    def __init__(self, client: Any, target: dict[str, str], part_bytes: int) -> None:
        self._client = client
        self._target = target
        self._part_bytes = part_bytes

    def send(self, file: BinaryIO, size: int) -> None:
        """Put the content of a file, unless there is an object of that name. Raises what botocore raises.

        What has been sent is removed after a failure, if the server can be reached; otherwise abort_unfinished() does
        that later.
        """
        upload = self._client.create_multipart_upload(**self._target, ChecksumAlgorithm="SHA256")["UploadId"]
        done = False
        try:
            parts = self._send_parts(file, upload, max(self._part_bytes, -(-size // _MOST_PARTS)))
            self._client.complete_multipart_upload(
                **self._target, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
            done = True
        finally:
            if not done:
                with suppress(BotoCoreError, ClientError):
                    self._client.abort_multipart_upload(**self._target, UploadId=upload)

    def _send_parts(self, file: BinaryIO, upload: str, part_bytes: int) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        while piece := file.read(part_bytes):
            checksum = base64.b64encode(hashlib.sha256(piece).digest()).decode("ascii")
            number = len(parts) + 1
            answer = self._client.upload_part(
                **self._target, UploadId=upload, PartNumber=number, Body=piece, ChecksumSHA256=checksum
            )
            parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
        return parts
