"""Makes a JSON Schema of what was seen, to start from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ssmd.shape.kinds import DECIMAL_NUMBER, INTEGER, JSON_TYPES
from ssmd.shape.learned import OTHERS
from ssmd.shape.paths import ITEM, VALUE, Path, path_of, text_of
from ssmd.shape.shape import Field, TypeShape

__all__ = ["json_schema"]

_TYPES = {**JSON_TYPES, INTEGER: "integer", DECIMAL_NUMBER: "number"}


def json_schema(types: Mapping[str, TypeShape], type_path: Path = ()) -> dict[str, Any]:
    """Return a schema that the messages satisfy from which these shapes were learned exactly.

    A field that every object has is required. Further fields are allowed. `type_path`: where the messages have a text
    that is their type; empty where that is not known. The form of a type has it there as a constant, and the forms of
    other messages exclude these constants.
    """
    told = [name for name, one in types.items() if _has_type(name, one, type_path)]
    forms = [{"title": name or "without a type", **_form(name, one, type_path, told)} for name, one in types.items()]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": forms}


def _has_type(name: str, one: TypeShape, path: Path) -> bool:
    """Return whether each message of a type has it as a text at a path."""
    field = one.fields.get(text_of(path)) if path and name and name != OTHERS else None
    if field is None or field.messages < one.messages:
        return False
    return all(JSON_TYPES[kind] == "string" for kind in field.kinds)


def _form(name: str, one: TypeShape, type_path: Path, told: Collection[str]) -> dict[str, Any]:
    """Return the schema of the messages of a type. `told`: the types that messages have at `type_path`."""
    form = place = _schema(_tree(one), ())
    if not told or name == OTHERS:  # Those have any type: on another day, others may have been too many.
        return form
    for step in type_path:
        place = place.setdefault("properties", {}).setdefault(step, {})
    place.update({"const": name} if name in told else {"not": {"enum": list(told)}})
    return form


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
