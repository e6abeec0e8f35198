"""Reads the segments of a day that is not complete in the bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import zstandard

from ssmd.errors import DataError

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["lines_in_segment"]


def lines_in_segment(bucket: Bucket, name: str) -> Iterator[bytes]:
    """Yield the lines of a segment, in pieces that end anywhere.

    Raises DataError for one that is damaged or cut off, and what Bucket.read() raises.
    """
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        for piece in bucket.read(name):
            if data := frame.decompress(piece):
                yield data
    except zstandard.ZstdError as error:
        raise DataError(f"{bucket.address}/{name}: cannot be read: {error}") from None
    if not frame.eof:
        raise DataError(f"{bucket.address}/{name}: cannot be read: it is cut off")
