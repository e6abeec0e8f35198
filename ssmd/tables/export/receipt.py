"""The receipt of an exported day: from which lines its files were made. Pure.

It is written after all files of the day, so its presence means that they are complete. The next export reads it to
learn what is there already, and what has changed since.

    {target}/_ssmd/{YYYY-MM-DD}/{stem}.{layout}.json
    {target}/_ssmd/{YYYY-MM-DD}/{stem}.{layout}.begun.json    until the receipt is there: an export has begun to write
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

__all__ = [
    "FOLDER",
    "FORMAT",
    "File",
    "Made",
    "Receipt",
    "Source",
    "begun_name",
    "decode_receipt",
    "encode_receipt",
    "receipt_name",
]

FOLDER = "_ssmd"
"""The folder for what is no data. Spark, Arrow and others pass over names that begin with an underscore."""

FORMAT = 1


class Source(msgspec.Struct, frozen=True):
    """The lines from which a day was exported."""

    sealed: bool
    """They agree with the day's manifest."""
    lines: int
    bytes: int
    sha256: str


class Made(NamedTuple):
    """A file of the export that is written and synced, and still has to get its place in the target."""

    name: str
    """Its place: a path below the target, with `/` between its parts."""
    type: str
    """The type of the messages that it has; empty when it has several."""
    rows: int
    path: Path
    """Where it is now."""


class File(msgspec.Struct, frozen=True):
    """A file of the export."""

    name: str
    """As in Made."""
    type: str
    rows: int
    bytes: int


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    layout: str
    day: str
    feed: str
    shard: str
    """Such as `2of4`; empty without shards."""
    source: Source
    types: list[str] | None
    """The types that were asked for; None when all types were."""
    exported_by: str
    """The version of ssmd."""
    files: list[File]

    def has(self, types: Iterable[str] | None) -> bool:
        """Return whether these types were exported, None for all."""
        return self.types is None or (types is not None and set(types) <= set(self.types))


def receipt_name(day: str, stem: str, layout: str) -> str:
    """Return the name of a receipt below the target."""
    return f"{FOLDER}/{day}/{stem}.{layout}.json"


def begun_name(day: str, stem: str, layout: str) -> str:
    """Return the name below the target of what says, without a receipt, that the files of a day are of an export."""
    return f"{FOLDER}/{day}/{stem}.{layout}.begun.json"


def encode_receipt(receipt: Receipt) -> bytes:
    return msgspec.json.format(msgspec.json.encode(receipt), indent=1) + b"\n"


def decode_receipt(data: bytes) -> Receipt | None:
    """Return a receipt; None for one that this version cannot read, so that the day is exported again."""
    try:
        receipt = msgspec.json.decode(data, type=Receipt)
    except ValueError:
        return None
    return receipt if receipt.format == FORMAT else None
