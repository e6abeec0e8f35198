"""The manifest: what a finished day contains, as one JSON object beside its data. Pure.

docs/archive.md explains every field. Every number is about the lines themselves, however they are compressed.
manifest_formats.py has the rules by which each format writes them.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable

import msgspec

__all__ = [
    "BLOCK_LINES",
    "ClosedTime",
    "Manifest",
    "OtherSequences",
    "SequenceRecord",
    "SessionRecord",
    "TimeGap",
    "pack_sums",
    "unpack_sums",
]

BLOCK_LINES = 1000
"""How many lines a pair of block sums covers."""

_PAIR = struct.Struct("<QQ")


class SequenceRecord(msgspec.Struct, frozen=True):
    """The messages of one session that are numbered together."""

    sid: int
    channel: str | None
    first: int
    last: int
    messages: int
    gaps: int
    missing: int | None
    """None when the numbers of a gap do not say it."""
    name: str | msgspec.UnsetType = msgspec.UNSET
    """What the numbers count, such as a market; UNSET when `channel` says it."""


class OtherSequences(msgspec.Struct, frozen=True):
    """The sum of the sequences of a session that have no record of their own."""

    sequences: int
    """How many these are."""
    messages: int
    gaps: int
    missing: int | None


class SessionRecord(msgspec.Struct, frozen=True):
    """One session: a connection, or its part in this day."""

    began: str
    ended: str
    cause: str
    line: int
    lines: int
    sequences: list[SequenceRecord]
    other_sequences: OtherSequences | msgspec.UnsetType = msgspec.UNSET


class TimeGap(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A time in which no connection was open."""

    from_: str
    to: str
    seconds: float
    cause: str


class ClosedTime(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A time in which no connection was open because the schedule was closed."""

    from_: str
    to: str
    seconds: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished day contains, in any format.

    None is a figure that is not known, except for `first` and `last` of a day without lines. A field that the format
    does not have is UNSET.
    """

    format: int
    feed: str
    day: str
    sealed: str
    sealed_by: str
    collected_by: list[str]
    lines: int
    bytes: int
    sha256: str
    first: str | None
    last: str | None
    not_json: int
    messages_by_type: dict[str, int]
    messages_by_hour: list[int]
    peak_second: int | msgspec.UnsetType = msgspec.UNSET
    sequence_gaps: int | None
    missing: int | None
    schema_violations: dict[str, int] | msgspec.UnsetType | None = msgspec.UNSET
    """By the type of the messages; UNSET for a day whose messages were not checked."""
    sessions: list[SessionRecord]
    gaps: list[TimeGap] | None
    closed: list[ClosedTime] | msgspec.UnsetType = msgspec.UNSET
    """UNSET for a day without closed hours."""
    listened_seconds: float | None
    coverage_percent: float | None
    ledger_entries: int
    ledger_sha256: str
    block_lines: int
    block_sums: str


def pack_sums(sums: Iterable[tuple[int, int]]) -> str:
    """Return pairs of numbers below 2**64 as base64."""
    return base64.b64encode(b"".join([_PAIR.pack(*pair) for pair in sums])).decode("ascii")


def unpack_sums(text: str) -> list[tuple[int, int]]:
    """Return the pairs that pack_sums() has packed. Raises ValueError."""
    data = base64.b64decode(text, validate=True)
    if len(data) % _PAIR.size:
        raise ValueError("has block sums that are cut off")
    return [(first, second) for first, second in _PAIR.iter_unpack(data)]
