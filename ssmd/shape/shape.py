"""The shape of what was received on one day, as it is kept beside the day. Pure.

docs/drift.md explains every field of the file.
"""

from __future__ import annotations

import msgspec

from ssmd.shape.kinds import JSON_TYPES
from ssmd.shape.paths import path_of

__all__ = ["FORMAT", "Field", "Kind", "Markets", "Shape", "TypeShape", "decode_shape", "encode_shape"]

FORMAT = 1


class Kind(msgspec.Struct):
    """The values of one kind that a field had."""

    count: int
    line: int
    """The first line that has one, counted from 1."""


class Field(msgspec.Struct):
    """A field of the messages of a type."""

    messages: int
    """How many messages have it."""
    line: int
    """The first line that has it."""
    kinds: dict[str, Kind]
    """By kind: its values. In an array, one message may have several."""

    @property
    def values(self) -> int:
        """How many values it had, of all kinds."""
        return sum(kind.count for kind in self.kinds.values())


class TypeShape(msgspec.Struct):
    """The messages of one type."""

    messages: int
    line: int
    """The first line that has such a message."""
    fields: dict[str, Field]
    """By path, as paths.py writes it."""
    more: bool = False
    """Whether there were more fields than a shape holds."""


class Markets(msgspec.Struct):
    """The markets of the messages. Those of which there are many are named in part."""

    messages: int
    """How many messages were of a market."""
    exact: bool
    """Whether all of them were counted; otherwise this number and those of `top` are estimates."""
    heard: int | None
    """How many markets had a message; None when that is not known: there were too many, or not every message was
    counted."""
    top: dict[str, int]
    """The messages of those that had the most, the most first."""
    asked: int | None
    """How many were asked for by name; None when none was."""
    silent: int | None
    """How many of these had no message; None when that is not known."""
    silent_names: list[str]
    """The first of these, by name."""


class Shape(msgspec.Struct):
    """The shape of a day of a feed, or of one of its shards."""

    feed: str
    day: str
    lines: int
    sha256: str
    """Of the lines, as in the manifest."""
    exchanges: list[str]
    """The dialects with which the messages were read."""
    types: dict[str, TypeShape]
    """By type, as in the manifest's `messages_by_type`."""
    markets: Markets | None = None
    """None when they are not known, or there are none."""
    format: int = FORMAT


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Shape).decode


class _Format(msgspec.Struct):
    format: int


_decode_format = msgspec.json.Decoder(_Format).decode


def encode_shape(shape: Shape) -> bytes:
    """Return the content of a shape file."""
    return msgspec.json.format(_encode(shape), indent=1) + b"\n"


def decode_shape(data: bytes) -> Shape:
    """Return the shape in a shape file. Raises ValueError, with what is wrong as a phrase without its subject."""
    try:
        if (format := _decode_format(data).format) != FORMAT:
            raise ValueError(f"has the format {format}, which this version does not know; use a newer one")
        shape = _decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"is not a shape: {error}") from None
    for kinds in (field.kinds for one in shape.types.values() for field in one.fields.values()):
        if unknown := kinds.keys() - JSON_TYPES.keys():
            raise ValueError(f"has the kind {min(unknown)!r}, which this version does not know")
    for path in {path for one in shape.types.values() for path in one.fields}:
        path_of(path)
    return shape
