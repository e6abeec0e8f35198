"""What the days before have shown as types of msgspec, which accept a message while it is decoded. Pure.

What they accept has only fields that are known, with values of types of JSON that they had before. What they refuse
need not be new. Whether a text still holds a decimal is not looked at.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import msgspec

from ssmd.shape.drift import FEW, Known
from ssmd.shape.kinds import DECIMAL_NUMBER, JSON_TYPES, OBJECT
from ssmd.shape.paths import ITEM, VALUE, Path, path_of
from ssmd.shape.shape import TypeShape

__all__ = ["MOST_FIELDS", "expected"]

MOST_FIELDS = 2000
"""How many fields of all types together are in the types that are made; the rarest types of messages are left out."""

_IMPOSSIBLE = re.compile(r'["\\\x00-\x1f]')
"""What no name of a field of msgspec may have. A message with such a name is refused, unless any is
allowed."""

_PLAIN = {"null": None, "boolean": bool, "number": float, "string": str}


def expected(known: Known, type_field: str, head: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """Return for types of messages what is known of them.

    `type_field`: the field at the top of a message that has its type. `head`: a Struct of whose fields each decoded
    message has the attributes. A type of which too little is known may have any fields.
    """
    forms: dict[str, type[msgspec.Struct]] = {}
    room = MOST_FIELDS
    for name in {**known.types, **known.documented}:
        one = known.types.get(name)
        is_known = one is not None and one.messages >= FEW and not one.more
        room -= len(one.fields) if one is not None and is_known else 1
        if room < 0:
            break
        form = _Form(one if is_known else None, known.data(name))
        if made := form.message(name, type_field, head, {path[0] for path in known.documented.get(name, ()) if path}):
            forms[name] = made
    return forms


class _Form:
    """The messages of one type. `data`: where objects have keys that are data, which may be any."""

    def __init__(self, one: TypeShape | None, data: set[Path]) -> None:
        self._fields = {path_of(text): field for text, field in one.fields.items()} if one is not None else {}
        self._members: dict[Path, list[Path]] = {}
        for path in self._fields:
            if path:
                self._members.setdefault(path[:-1], []).append(path)
        self._data = data
        self._is_open = one is None

    def message(
        self, type: str, type_field: str, head: type[msgspec.Struct], documented: set[Any]
    ) -> type[msgspec.Struct] | None:
        """Return what a message of the type may be; None when it is not always an object, or has data for keys."""
        if not self._is_open and (set(self._fields[()].kinds) != {OBJECT} or () in self._data):
            return None
        of_head = {each.encode_name: (each.name, each.type, each.default) for each in msgspec.structs.fields(head)}
        attribute = of_head.pop(type_field, ("type", str, ""))[0]
        others = {name: type for name, type in self._properties(()) if name not in {type_field, *of_head}}
        others = {**{name: msgspec.Raw for name in documented if name not in {type_field, *of_head}}, **others}
        options = {"tag": type, "tag_field": type_field, "namespace": {attribute: type}}
        return _structure(of_head, others, forbids=not self._is_open, **options)

    def _properties(self, path: Path) -> Iterator[tuple[str, Any]]:
        for member in self._members.get(path, ()):
            if isinstance(member[-1], str):
                yield member[-1], self._of(member)

    def _of(self, path: Path) -> Any:
        """Return the type of a field's values; null is one in any case."""
        kinds = {JSON_TYPES[kind] for kind in self._fields[path].kinds} - {"null"}
        return reduce(operator.or_, [self._value(kind, path) for kind in sorted(kinds)], None)

    def _value(self, kind: str, path: Path) -> Any:
        if kind == "object" and path in self._data:
            inside = (*path, VALUE)
            return dict[str, self._of(inside) if inside in self._fields else msgspec.Raw]  # type: ignore[misc]
        if kind == "object":
            return _structure({}, dict(self._properties(path)), forbids=True)
        if kind == "array":
            inside = (*path, ITEM)
            return list[self._of(inside) if inside in self._fields else msgspec.Raw]  # type: ignore[misc]
        return int if kind == "number" and DECIMAL_NUMBER not in self._fields[path].kinds else _PLAIN[kind]


def _structure(
    head: Mapping[str, tuple[str, Any, Any]], fields: Mapping[str, Any], *, forbids: bool, **options: Any
) -> type[msgspec.Struct]:
    """Return a Struct of fields that may be missing. `head`: for a name the attribute, the type and the default."""
    fields = {name: type for name, type in fields.items() if not _IMPOSSIBLE.search(name)}
    attributes = {name: f"field_{number}" for number, name in enumerate(fields)}
    names = {attribute: name for name, attribute in attributes.items()}
    names |= {attribute: name for name, (attribute, _, _) in head.items()}
    all_of = [*head.values(), *((attributes[name], type, None) for name, type in fields.items())]
    return msgspec.defstruct("Message", all_of, rename=names, gc=False, forbid_unknown_fields=forbids, **options)
