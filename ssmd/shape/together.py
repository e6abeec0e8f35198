"""Adds up shapes: those of several days, or of several shards. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ssmd.shape.shape import Field, Kind, Shape, TypeShape

__all__ = ["Types", "together"]

Types = Mapping[str, TypeShape]
"""The shapes of types, by type."""


def together(shapes: Iterable[Shape]) -> dict[str, TypeShape]:
    """Return the types of all shapes. Lines are those of the first shape that has the type, field or kind."""
    found: dict[str, TypeShape] = {}
    for shape in shapes:
        for name, one in shape.types.items():
            there = found.setdefault(name, TypeShape(0, one.line, {}))
            there.messages += one.messages
            there.more = there.more or one.more
            for path, field in one.fields.items():
                _add(there.fields.setdefault(path, Field(0, field.line, {})), field)
    return found


def _add(there: Field, field: Field) -> None:
    there.messages += field.messages
    for name, kind in field.kinds.items():
        there.kinds.setdefault(name, Kind(0, kind.line)).count += kind.count
