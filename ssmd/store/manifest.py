"""The manifest: what a finished day contains, as one JSON object beside its data. Pure.

docs/archive.md explains every field. Every number is about the lines themselves, however they are compressed.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator

import msgspec

from ssmd.errors import printable
from ssmd.store.timestamps import parse_timestamp

__all__ = [
    "BLOCK_LINES",
    "FORMAT",
    "Manifest",
    "SequenceRecord",
    "SessionRecord",
    "TimeGap",
    "decode_manifest",
    "encode_manifest",
    "pack_sums",
    "unpack_sums",
]

FORMAT = 1
"""Goes up when an older ssmd can no longer read what is written."""

BLOCK_LINES = 1000
"""How many lines a pair of block sums covers."""

_PAIR = struct.Struct("<QQ")


class SequenceRecord(msgspec.Struct, frozen=True):
    """The numbered messages of one subscription in one session."""

    sid: int
    channel: str | None
    first: int
    last: int
    messages: int
    gaps: int
    missing: int


class SessionRecord(msgspec.Struct, frozen=True):
    """One session: a connection, or its part in this day."""

    began: str
    ended: str
    cause: str
    line: int
    lines: int
    sequences: list[SequenceRecord]


class TimeGap(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A time in which no connection was open."""

    from_: str
    to: str
    seconds: float
    cause: str


class Manifest(msgspec.Struct, frozen=True):
    """What a finished day contains."""

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
    sequence_gaps: int
    missing: int
    sessions: list[SessionRecord]
    gaps: list[TimeGap]
    listened_seconds: float
    coverage_percent: float
    ledger_entries: int
    ledger_sha256: str
    block_lines: int
    block_sums: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Manifest).decode


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON, one field a line."""
    fields = [b"%b: %b" % (_encode(name), _encode(value)) for name, value in msgspec.structs.asdict(manifest).items()]
    return b"{\n" + b",\n".join(fields) + b"\n}\n"


def decode_manifest(data: bytes) -> Manifest:
    """Return a manifest. Raises ValueError, saying what is wrong, for other data, or a manifest of a later ssmd."""
    try:
        manifest = _decode(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not a manifest: {error}") from None
    if manifest.format != FORMAT or manifest.block_lines != BLOCK_LINES:
        raise ValueError(f"is of format {manifest.format}, which this ssmd does not read")
    if len(unpack_sums(manifest.block_sums)) != -(-manifest.lines // BLOCK_LINES):
        raise ValueError("has not as many block sums as its lines need")
    if len(manifest.messages_by_hour) != 24 or min(manifest.messages_by_hour) < 0:
        raise ValueError("has no number of messages for each of 24 hours")
    for time in _times(manifest):
        try:
            parse_timestamp(time)
        except ValueError:
            raise ValueError(f"has {printable(time)!r} where a time should be") from None
    return manifest


def _times(manifest: Manifest) -> Iterator[str]:
    yield manifest.sealed
    yield from filter(None, (manifest.first, manifest.last))
    for session in manifest.sessions:
        yield from (session.began, session.ended)
    for gap in manifest.gaps:
        yield from (gap.from_, gap.to)


def pack_sums(sums: Iterable[tuple[int, int]]) -> str:
    """Return pairs of numbers below 2**64 as base64."""
    return base64.b64encode(b"".join([_PAIR.pack(*pair) for pair in sums])).decode("ascii")


def unpack_sums(text: str) -> list[tuple[int, int]]:
    """Return the pairs that pack_sums() has packed. Raises ValueError."""
    data = base64.b64decode(text, validate=True)
    if len(data) % _PAIR.size:
        raise ValueError("has block sums that are cut off")
    return [(first, second) for first, second in _PAIR.iter_unpack(data)]
