"""A storage in a bucket, put there object by object as the uploader does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zstandard

from ssmd.bucket.address import Segment, day_key, live_prefix
from ssmd.bucket.client import Bucket
from ssmd.store.layout import DayFile, ledger_path, manifest_path
from ssmd.store.ledger import decode_entry


def put_day(bucket: Bucket, file: DayFile) -> None:
    """Put a sealed day, the manifest last."""
    folder = file.path.parent
    packed = zstandard.compress(file.path.read_bytes())
    bucket.put_new(day_key(file.day, f"{file.stem}.jsonl.zst"), packed)
    for path in (ledger_path(folder, file.stem), manifest_path(folder, file.stem)):
        bucket.put_new(day_key(file.day, path.name), path)


def put_segments(bucket: Bucket, file: DayFile, *ends: int) -> None:
    """Put the first lines of a day, in segments that end with these lines."""
    lines = file.path.read_bytes().splitlines(keepends=True)
    entries = ledger_path(file.path.parent, file.stem).read_bytes().splitlines(keepends=True)
    first = 1
    for last in ends:
        segment = Segment(first, last)
        part = [entry for entry in entries if first - 1 <= decode_entry(entry).line < last]
        prefix = live_prefix(file.day, file.stem)
        bucket.put_new(prefix + segment.ledger, b"".join(part))
        bucket.put_new(prefix + segment.data, zstandard.compress(b"".join(lines[first - 1 : last])))
        first = last + 1


def environment(endpoint: str, key: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the variables with which boto3 finds a server and a key by itself."""
    return {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": key["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": str(folder),
        "HOME": str(folder),
    }
