"""Where a storage is in a bucket, and the names of its objects. Pure.

    {prefix}/{YYYY-MM-DD}/{stem}.jsonl.zst                          as the files of a storage folder: store/layout.py
    {prefix}/{YYYY-MM-DD}/{stem}.ledger.jsonl
    {prefix}/{YYYY-MM-DD}/{stem}.manifest.json                      the last one: where it is, the day is complete
    {prefix}/{YYYY-MM-DD}/live/{stem}/{first}-{last}.jsonl.zst      lines of a day that is not complete yet
    {prefix}/{YYYY-MM-DD}/live/{stem}/{first}-{last}.ledger.jsonl   what the ledger says of them

`first` and `last` are numbers of lines, from 1, with 12 digits, so that names sort as lines do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ssmd.errors import UsageError, visible
from ssmd.store.file_kinds import LEDGER
from ssmd.store.layout import LIVE

__all__ = ["SCHEME", "Address", "Segment", "chain", "day_key", "is_address", "live_prefix", "read_segment"]

SCHEME = "s3://"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""AWS allows less, some other servers allow this:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

_DATA = ".jsonl.zst"
_SEGMENT = re.compile(rf"(\d{{12}})-(\d{{12}})({re.escape(_DATA)}|{re.escape(LEDGER)})")


class Address(NamedTuple):
    """A storage in a bucket."""

    bucket: str
    prefix: str = ""
    """What the keys of its objects begin with, without a slash at the ends; empty for the whole bucket."""

    @classmethod
    def of(cls, bucket: str, prefix: str = "") -> Address:
        """Return the address of a prefix, which may have slashes at its ends."""
        return cls(bucket, prefix.strip("/"))

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that `s3://bucket/prefix` stands for. Raises UsageError."""
        bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
        if not text.startswith(SCHEME) or not cls.is_bucket(bucket):
            raise UsageError(f"'{visible(text)}' is no address of a bucket; write s3://<bucket>/<prefix>")
        return cls.of(bucket, prefix)

    @staticmethod
    def is_bucket(name: str) -> bool:
        """Return whether a bucket may have a name."""
        return _BUCKET.fullmatch(name) is not None

    def key(self, name: str) -> str:
        """Return the key of an object in the bucket, from its name within this storage."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def name(self, key: str) -> str:
        """Return the name within this storage of an object with a key."""
        return key.removeprefix(f"{self.prefix}/") if self.prefix else key

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def is_address(text: str) -> bool:
    """Return whether a text means a bucket and not a folder."""
    return text.startswith(SCHEME)


def day_key(day: str, name: str) -> str:
    """Return the name of the object for a file of a day's folder."""
    return f"{day}/{name}"


def live_prefix(day: str, stem: str) -> str:
    """Return how the names of the segments of a day begin."""
    return f"{day}/{LIVE}/{stem}/"


class Segment(NamedTuple):
    """Some lines of a day. Where `last` is `first - 1` there are none, only the end of the ledger."""

    first: int
    last: int

    @property
    def data(self) -> str:
        """What follows live_prefix() in the name of its lines."""
        return f"{self.first:012}-{self.last:012}{_DATA}"

    @property
    def ledger(self) -> str:
        """What follows live_prefix() in the name of its part of the ledger."""
        return f"{self.first:012}-{self.last:012}{LEDGER}"


def read_segment(name: str) -> tuple[Segment, bool] | None:
    """Return the segment of an object, and whether it is its part of the ledger; None for another object.

    `name`: what follows live_prefix().
    """
    match = _SEGMENT.fullmatch(name)
    return (Segment(int(match[1]), int(match[2])), match[3] == LEDGER) if match is not None else None


def chain(segments: Iterable[Segment]) -> list[Segment]:
    """Return the segments that together have the most lines from line 1 on, in order, each line once.

    Segments may overlap: a request of an uploader that was killed may arrive after another one has looked.
    """
    before: dict[int, Segment] = {}
    """By a line, the segment that ends right before it."""
    for segment in sorted(segments):
        reached = segment.first == 1 or segment.first in before
        if reached and segment.first <= segment.last and segment.last + 1 not in before:
            before[segment.last + 1] = segment
    found: list[Segment] = []
    at = max(before, default=1)
    while at > 1:
        found.append(before[at])
        at = before[at].first
    return found[::-1]
