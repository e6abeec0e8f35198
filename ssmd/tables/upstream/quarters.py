"""The files `{HHMM}.jsonl.gz`: the exchange's messages of a quarter of an hour, with two fields spliced in.

    {"type":"trade",...,"_received_at":1766399400123456,"_nats_seq":204440000000042}

A message that is no JSON object has no place for these, and stands in its line as it is; one that is not JSON, as the
JSON string that ssmd's own line has of it.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from ssmd.errors import WriteError
from ssmd.store.durable import open_new
from ssmd.store.head import DATA, ENCODED_ENDS, is_kept_as_string

__all__ = ["Quarter", "message_of", "spliced"]

_LEVEL = 6
"""The level of gzip that its archiver uses."""
_MINUTES = 15


def message_of(line: bytes) -> bytes:
    """Return the message of a line of ssmd as one JSON document: the exchange's own bytes, or a string of them."""
    start = line.index(DATA) + len(DATA)
    if is_kept_as_string(line, start):
        return line[start : -next(len(end) for end in ENCODED_ENDS if line.endswith(end))]
    return line[start:-2]


def spliced(message: bytes, shard: int | None, received_us: int, sequence: int) -> bytes:
    """Return a message with the fields spliced in; unchanged when it is no object. `shard`: None without shards."""
    if not message.startswith(b"{"):
        return message
    inside = message[:-1].rstrip()
    comma = b"" if inside == b"{" else b","
    ours = b"" if shard is None else b'"_shard_id":%d,' % shard
    return b'%b%b%b"_received_at":%d,"_nats_seq":%d}' % (inside, comma, ours, received_us, sequence)


class Quarter:
    """One file, being written below a folder. Raises OutputError, WriteError.

    `minute`: the minute of the day in which it begins.
    """

    def __init__(self, folder: Path, minute: int) -> None:
        self.minute = minute
        self.name = f"{minute // 60:02d}{minute % 60:02d}.jsonl.gz"
        self.path = folder / self.name
        self.records = 0
        self.bytes = 0
        """Without compression."""
        self.first: tuple[int, int] = (0, 0)
        """The sequence and the time, in microseconds, of its first message."""
        self.last: tuple[int, int] = (0, 0)
        self._file = open_new(self.path)
        # Without a name and a time in it, the same messages make the same bytes.
        self._zip = gzip.GzipFile("", "wb", _LEVEL, self._file, mtime=0)

    @staticmethod
    def minute_of(minute: int) -> int:
        """Return the minute in which the quarter of a minute of the day begins."""
        return minute - minute % _MINUTES

    def write(self, pieces: list[bytes], count: int, first: tuple[int, int], last: tuple[int, int]) -> None:
        """Write `count` messages, at least one. `first`, `last`: as in the attributes."""
        data = b"".join(pieces)
        try:
            self._zip.write(data)
        except OSError as error:
            raise WriteError(f"{self.path}: {error.strerror}") from None
        if not self.records:
            self.first = first
        self.last = last
        self.records += count
        self.bytes += len(data)

    def close(self) -> None:
        """Finish the file and make it durable."""
        try:
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise WriteError(f"{self.path}: {error.strerror}") from None
