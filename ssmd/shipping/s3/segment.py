"""Uploads one day that is not sealed, in segments: whole lines that are durable, and the part of the ledger about them.

That part depends on the lines alone: it has the entries whose place is before the end of the segment, and not before
the end of the segment before it. So two processes that make a segment of the same lines make the same objects.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import zstandard

from ssmd.bucket.address import Segment, chain, live_prefix, read_segment
from ssmd.bucket.client import Bucket
from ssmd.bucket.objects import ObjectDiffers
from ssmd.bucket.segments import lines_in_segment
from ssmd.reading.day_source import DaySource
from ssmd.shipping.s3.ledger_part import LedgerPart
from ssmd.store.head import TS, received_ns, split
from ssmd.store.layout import ledger_path

__all__ = ["SEGMENT_BYTES", "LiveDay"]

SEGMENT_BYTES = 32 * 1024 * 1024
"""About how many bytes of lines a segment has at most: it is compressed in memory."""

_CHUNK = 1024 * 1024
_LEVEL = 3


class LiveDay:
    """The segments of one day of one feed or shard.

    `source`: its lines; close() closes it too. The constructor asks the bucket which lines it has already. It raises
    ObjectDiffers when these differ from the lines here.
    """

    def __init__(self, bucket: Bucket, folder: Path, stem: str, source: DaySource) -> None:
        self._bucket = bucket
        self._source = source
        self._prefix = live_prefix(folder.name, stem)
        self.day = folder.name
        self._ledger = LedgerPart(ledger_path(folder, stem))
        self.line = self.offset = 0
        """How many lines the bucket has, and where the last of them ends, in bytes."""
        self.uploaded = time.monotonic()
        """When the last segment was uploaded, or this was made, by time.monotonic()."""
        self.last: str | None = None
        """The time of the last line that was uploaded here, as in the line."""
        self._go_on()

    def _go_on(self) -> None:
        """Go to the end of what the bucket has."""
        names = (found.name.removeprefix(self._prefix) for found in self._bucket.list(self._prefix))
        segments = [read[0] for name in names if (read := read_segment(name)) is not None and not read[1]]
        found = chain(segments)
        if not found:
            return
        self._sync()
        before = self._read_over(found[-1].first - 1)
        after = self._read_over(found[-1].last)
        if before is None or after is None:
            raise ObjectDiffers(
                f"{self._bucket.address}/{self._prefix}: has {found[-1].last:,} lines, and {self._source.path} has "
                f"{self.line:,}; `ssmd run` restores today's file from the bucket before it goes on, and the uploader "
                "restores a day that is sealed"
            )
        self._require_lines(found[-1], before, after)
        self._ledger.take(self.offset)

    def _read_over(self, line: int) -> int | None:
        """Go on to the end of a line; return its offset, None when the file has fewer lines."""
        while self.line < line and (data := self._source.read(self.offset, _CHUNK)):
            lines = data.count(b"\n")
            if self.line + lines > line:
                data = b"".join(split(data)[: line - self.line])
                lines = line - self.line
            self.offset += len(data)
            self.line += lines
        return self.offset if self.line == line else None

    def _require_lines(self, segment: Segment, start: int, end: int) -> None:
        """Raise ObjectDiffers unless a segment has the lines that are here from `start` to `end`."""
        here, there = hashlib.sha256(), hashlib.sha256()
        at = start
        while at < end and (data := self._source.read(at, _CHUNK)[: end - at]):
            here.update(data)
            at += len(data)
        for piece in lines_in_segment(self._bucket, f"{self._prefix}{segment.data}"):
            there.update(piece)
        if here.digest() != there.digest():
            raise ObjectDiffers(
                f"{self._bucket.address}/{self._prefix}{segment.data}: has other lines than {self._source.path}; "
                "another collector uploads to the same place, or the file was replaced; give each collector a prefix "
                "of its own"
            )

    def _sync(self) -> None:
        if self._source.look():
            self._source.sync()

    def pending(self) -> tuple[int, int | None]:
        """Return how many bytes of lines the bucket does not have, and when the oldest of them was received, in ns."""
        size = self._source.bytes_after(self.offset)
        if not size:
            return 0, None
        try:
            return size, received_ns(self._source.peek(self.offset))
        except ValueError:  # A damaged line.
            return size, None

    def upload(self) -> int:
        """Upload the next segment; return how many lines it has, 0 when there are none so far."""
        self._sync()
        frame = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        packed: list[bytes] = []
        offset, lines, data = self.offset, 0, b""
        while offset - self.offset < SEGMENT_BYTES and (found := self._source.read(offset, _CHUNK)):
            data = found
            packed.append(frame.compress(data))
            offset += len(data)
            lines += data.count(b"\n")
        if not lines:
            return 0
        segment = Segment(self.line + 1, self.line + lines)
        end, ledger = self._ledger.before(offset)
        self._put_ledger(segment, ledger)
        self._bucket.put_new(f"{self._prefix}{segment.data}", b"".join([*packed, frame.flush()]))
        self._ledger.at = end
        self.offset, self.line = offset, segment.last
        self.uploaded = time.monotonic()
        self.last = data[data.rfind(b"\n", 0, -1) + 1 :][TS].decode("ascii", "replace")
        return lines

    def _put_ledger(self, segment: Segment, content: bytes) -> None:
        name = f"{self._prefix}{segment.ledger}"
        try:
            self._bucket.put_new(name, content)
        except ObjectDiffers:
            # It was put by a run that was killed before it put the lines, and whose file is lost: it describes nothing.
            if self._bucket.find(f"{self._prefix}{segment.data}") is not None:
                raise
            self._bucket.delete(name)
            self._bucket.put_new(name, content)

    def upload_end(self) -> None:
        """Upload what the ledger says after the last line, such as that the run was stopped in order."""
        if rest := self._ledger.rest():
            segment = Segment(self.line + 1, self.line)
            name = f"{self._prefix}{segment.ledger}"
            if self._bucket.find(name) is None:  # One of an earlier end after the same line says enough.
                self._bucket.put_new(name, rest)

    def close(self) -> None:
        self._source.close()


