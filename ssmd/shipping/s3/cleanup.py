"""Compares the segments of a day with its lines here, and removes those of a day that is complete in the bucket."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from ssmd.bucket.address import Segment, chain, live_prefix, read_segment
from ssmd.bucket.client import Bucket
from ssmd.bucket.segments import lines_in_segment
from ssmd.errors import DataError
from ssmd.reading.blocks import LineBlocks
from ssmd.store.head import split
from ssmd.store.layout import ledger_path

__all__ = ["has_segments", "remove_segments"]

_log = logging.getLogger("ssmd.ship")


def has_segments(bucket: Bucket, folder: Path, stem: str, data: Path) -> bool:
    """Return whether a day here has the lines of its segments. `data`: its file or folder. Only the last segment is
    compared: a file that has its lines has those of all earlier ones. Raises DataError, and what the bucket raises.
    """
    prefix = live_prefix(folder.name, stem)
    last = chain(segment for segment, is_ledger in _found(bucket, prefix).values() if not is_ledger)[-1:]
    lines = _digests(data, last)
    return all(_digest_there(bucket, prefix + segment.data) == lines[segment] for segment in last)


def _found(bucket: Bucket, prefix: str) -> dict[str, tuple[Segment, bool]]:
    """Return the segments below a prefix by name, each with whether the object is its part of the ledger."""
    names = (found.name.removeprefix(prefix) for found in bucket.list(prefix))
    return {name: read for name in names if (read := read_segment(name)) is not None}


def remove_segments(bucket: Bucket, folder: Path, stem: str, data: Path | None) -> int:
    """Remove the segments of a day; return how many lines they had, from line 1 on without a break.

    `data`: the lines of the day here, which the bucket has too; None when they are not here, and nothing is removed.
    What is not in the day is kept, and logged. Raises DataError, and what the bucket raises.
    """
    prefix = live_prefix(folder.name, stem)
    found = _found(bucket, prefix)
    if not found or data is None:
        return 0
    lines = _digests(data, sorted({segment for segment, is_ledger in found.values() if not is_ledger}))
    ledger = ledger_path(folder, stem).read_bytes() if ledger_path(folder, stem).exists() else b""
    # Lines go before their part of the ledger, which says nothing without them.
    for name, (segment, is_ledger) in sorted(found.items(), key=lambda one: one[1][1]):
        if is_ledger:
            is_in_day = bucket.get(prefix + name) in ledger
        else:
            is_in_day = _digest_there(bucket, prefix + name) == lines[segment]
        if is_in_day:
            bucket.delete(prefix + name)
        else:
            _log.warning(
                "segment has lines that the uploaded day does not have, and is kept",
                extra={"object": f"{bucket.address}/{prefix}{name}", "day": folder.name, "stem": stem},
            )
    reached = chain(segment for segment, is_ledger in found.values() if not is_ledger)
    return reached[-1].last if reached else 0


def _digests(data: Path, segments: list[Segment]) -> dict[Segment, bytes]:
    """Return the SHA-256 of the lines of each segment, in the order of their first lines."""
    digests = {segment: hashlib.sha256() for segment in segments}
    line = 0
    """How many lines were read."""
    for block in LineBlocks(data) if segments else ():
        lines = block.count(b"\n")
        for segment, digest in digests.items():
            if segment.first <= line + lines and segment.last > line:
                first, last = max(0, segment.first - 1 - line), min(lines, segment.last - line)
                whole = (first, last) == (0, lines)
                digest.update(block if whole else b"".join(split(block)[first:last]))
        line += lines
    return {segment: digest.digest() for segment, digest in digests.items()}


def _digest_there(bucket: Bucket, name: str) -> bytes:
    digest = hashlib.sha256()
    try:
        for piece in lines_in_segment(bucket, name):
            digest.update(piece)
    except DataError:
        return b""
    return digest.digest()
