"""Makes a JSON Schema of what was seen, to start from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmd.shape.kinds import DECIMAL_NUMBER, INTEGER, JSON_TYPES
from ssmd.shape.paths import ITEM, VALUE, Path, path_of
from ssmd.shape.shape import Field, TypeShape

__all__ = ["json_schema"]

_TYPES = {**JSON_TYPES, INTEGER: "integer", DECIMAL_NUMBER: "number"}


def json_schema(types: Mapping[str, TypeShape]) -> dict[str, Any]:
    """Return a schema that the messages satisfy from which these shapes were learned exactly.

    A field that every object has is required. Further fields are allowed.
    """
    forms = [{"title": name or "without a type", **_schema(_tree(one), ())} for name, one in types.items()]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": forms}


_Tree = dict[Path, tuple[Field, list[Path]]]
"""By path: a field, and the paths of what is directly in it."""


def _tree(one: TypeShape) -> _Tree:
    tree: _Tree = {path_of(text): (field, []) for text, field in one.fields.items()}
    for path in tree:
        if path and path[:-1] in tree:
            tree[path[:-1]][1].append(path)
    return tree


def _schema(tree: _Tree, path: Path) -> dict[str, Any]:
    field, members = tree[path]
    types = sorted({_TYPES[kind] for kind in field.kinds})
    if {"integer", "number"} <= set(types):
        types.remove("integer")
    found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    objects = field.kinds["object"].count if "object" in field.kinds else 0
    properties, required = {}, []
    for member in members:
        name, inner = member[-1], _schema(tree, member)
        if name is ITEM:
            found["items"] = inner
        elif name is VALUE:
            found["additionalProperties"] = inner
        elif isinstance(name, str):
            properties[name] = inner
            if tree[member][0].values == objects:
                required.append(name)
    if properties:
        found["properties"] = properties
    if required:
        found["required"] = required
    return found
