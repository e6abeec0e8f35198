"""Makes a JSON Schema of a .capnp file (https://capnproto.org/language.html). docs/schemas.md has the mapping.

    python -m ssmd.schema.capnp <path>

Writes the JSON Schema to stdout. It is a program of its own because pycapnp aborts its process when a definition is
faulty.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import capnp

from ssmd.schema.assembly import (
    ANYTHING,
    BASE64,
    be_bounded,
    described,
    finish,
    integer,
    message,
    nullable,
    number,
    whole,
)
from ssmd.schema.names import of_values, snake_cases

__all__ = ["Translation"]

_PLAIN: Mapping[str, Mapping[str, Any]] = {
    "bool": {"type": ["boolean"]},
    "data": {"type": ["string"], "pattern": BASE64},
    "float32": number(),
    "float64": number(),
    "int8": integer(8, signed=True),
    "int16": integer(16, signed=True),
    "int32": integer(32, signed=True),
    "int64": integer(64, signed=True),
    "text": {"type": ["string"]},
    "uint8": integer(8, signed=False),
    "uint16": integer(16, signed=False),
    "uint32": integer(32, signed=False),
    "uint64": integer(64, signed=False),
    "void": {"type": ["null"]},
}
_IN_NO_UNION = 0xFFFF
"""The discriminant of a field that is in no union."""


class Translation:
    """Makes the JSON Schema of a module that pycapnp has loaded."""

    def __init__(self) -> None:
        self._messages: dict[str, dict[str, Any]] = {}
        self._names: dict[int, str] = {}
        """The name of each message by the id of its struct."""

    def of(self, module: Any) -> dict[str, Any]:
        tops = []
        for node in module.schema.node.nestedNodes:
            found = getattr(getattr(module, node.name), "schema", None)
            if found is not None and found.node.which() == "struct":
                tops.append(self._name_of(found, node.name))
        return whole(tops, self._messages)

    def _name_of(self, struct: Any, name: str | None = None) -> str:
        """Return the name of a struct in the JSON Schema, in which it is then. `name`: that of one at the top."""
        key = struct.node.id
        if key not in self._names:
            self._names[key] = name or f"{struct.node.displayName.rpartition(':')[2]}@{key:x}"
            self._messages[self._names[key]] = self._message(struct)
        return self._names[key]

    def _message(self, struct: Any) -> dict[str, Any]:
        fields = list(struct.node.struct.fields)
        union = [_spellings(field.name) for field in fields if field.discriminantValue != _IN_NO_UNION]
        values = [(_spellings(field.name), nullable(self._value(field, struct.fields[field.name]))) for field in fields]
        return message(values, either=[union] if len(union) > 1 else ())

    def _value(self, field: Any, found: Any) -> Mapping[str, Any]:
        if field.which() == "group":
            return described(self._name_of(found.schema))
        return self._typed(field.slot.type, lambda: found.schema)

    def _typed(self, type: Any, schema: Any) -> Mapping[str, Any]:
        """Return the schema of a value of a type. `schema`: returns what pycapnp knows of a type that is not plain."""
        kind = type.which()
        if kind == "struct":
            return described(self._name_of(schema()))
        if kind == "enum":
            return {"enum": [*_values(schema()), None]}
        if kind == "list":
            return {"type": ["array"], "items": self._typed(type.list.elementType, lambda: schema().elementType)}
        return _PLAIN.get(kind, ANYTHING)


def _spellings(name: str) -> list[str]:
    """Return how JSON may spell the name of a field, which cannot have an underscore here."""
    return list(dict.fromkeys([name, *snake_cases(name)]))


def _values(enum: Any) -> Iterator[str]:
    spellings = (spelling for name in enum.enumerants for spelling in of_values(name))
    return iter(dict.fromkeys(spellings))


def main(path: str) -> int:
    be_bounded()
    capnp.remove_import_hook()
    # pycapnp has the definitions of Cap'n Proto itself, such as /capnp/c++.capnp.
    module = capnp.load(path, imports=[str(Path(capnp.__file__).parent.parent)])
    return finish(Path(path).name, lambda: Translation().of(module))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
