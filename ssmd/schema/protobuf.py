"""Makes a JSON Schema of a .proto file, by protobuf's mapping to JSON (https://protobuf.dev/programming-guides/json/).

    python -m ssmd.schema.protobuf <path>

Writes the JSON Schema to stdout. It is a program of its own because the libraries are large, and because their compiler
writes to stderr what is wrong. The folder of the file is its own: what is made on the way is put there too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

from ssmd.schema.assembly import ANYTHING, BASE64, be_bounded, described, finish, integer, message, nullable, whole

__all__ = ["translated"]

_Field = FieldDescriptorProto
_NUMERAL = "^(-?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity)$"
_BITS = {
    _Field.TYPE_INT32: (32, True),
    _Field.TYPE_SINT32: (32, True),
    _Field.TYPE_SFIXED32: (32, True),
    _Field.TYPE_UINT32: (32, False),
    _Field.TYPE_FIXED32: (32, False),
    _Field.TYPE_INT64: (64, True),
    _Field.TYPE_SINT64: (64, True),
    _Field.TYPE_SFIXED64: (64, True),
    _Field.TYPE_UINT64: (64, False),
    _Field.TYPE_FIXED64: (64, False),
}
"""How many bits an integer has, and whether it has a sign."""


def _integer(bits: int, *, signed: bool) -> dict[str, Any]:
    """Return the schema of an integer, which may also be a text of its digits."""
    digits = "^-?[0-9]+$" if signed else "^[0-9]+$"
    return integer(bits, signed=signed, types=("integer", "string")) | {"pattern": digits}


_KEY = "^-?[0-9]+$"
_FLOATING = {"type": ["number", "string"], "pattern": _NUMERAL}
_BOOLEAN = {"type": ["boolean"]}
_TEXT = {"type": ["string"]}
_BYTES = {"type": ["string"], "pattern": BASE64}
_PLAIN: Mapping[int, Mapping[str, Any]] = {
    _Field.TYPE_BOOL: _BOOLEAN,
    _Field.TYPE_BYTES: _BYTES,
    _Field.TYPE_DOUBLE: _FLOATING,
    _Field.TYPE_FLOAT: _FLOATING,
    _Field.TYPE_STRING: _TEXT,
}
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "Any": {"type": ["object"]},
    "BoolValue": _BOOLEAN,
    "BytesValue": _BYTES,
    "DoubleValue": _FLOATING,
    "Duration": {"type": ["string"], "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"},
    "Empty": {"type": ["object"]},
    "FieldMask": _TEXT,
    "FloatValue": _FLOATING,
    "Int32Value": _integer(32, signed=True),
    "Int64Value": _integer(64, signed=True),
    "ListValue": {"type": ["array"]},
    "StringValue": _TEXT,
    "Struct": {"type": ["object"]},
    "Timestamp": {
        "type": ["string"],
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
    },
    "UInt32Value": _integer(32, signed=False),
    "UInt64Value": _integer(64, signed=False),
    "Value": ANYTHING,
}
"""What JSON has in place of the messages of google.protobuf."""


def translated(compiled: FileDescriptorSet, name: str) -> dict[str, Any]:
    """Return the JSON Schema of what the file of this name describes."""
    kinds: dict[str, DescriptorProto | EnumDescriptorProto] = {}
    tops: dict[str, str] = {}
    for file in compiled.file:
        scope = f".{file.package}" if file.package else ""
        for top in file.message_type:
            kinds.update(_messages_in(top, f"{scope}.{top.name}"))
            if file.name == name:
                tops[top.name] = f"{scope}.{top.name}"
        kinds.update((f"{scope}.{enum.name}", enum) for enum in file.enum_type)
    schemas = {
        _short(path, tops): _message(kind, kinds, tops)
        for path, kind in kinds.items()
        if isinstance(kind, DescriptorProto) and not kind.options.map_entry and not _well_known(path)
    }
    return whole(tops, schemas)


def _short(path: str, tops: Mapping[str, str]) -> str:
    """Return the name of a message in the JSON Schema: that of one at the top of the file is as the file has it."""
    name = path.rpartition(".")[2]
    return name if tops.get(name) == path else path


def _well_known(path: str) -> Mapping[str, Any] | None:
    return _WELL_KNOWN.get(path.removeprefix(".google.protobuf.")) if path.startswith(".google.protobuf.") else None


def _messages_in(outer: DescriptorProto, path: str) -> Iterator[tuple[str, DescriptorProto | EnumDescriptorProto]]:
    """Yield a message, and the messages and enums within it, by their full names."""
    yield path, outer
    for enum in outer.enum_type:
        yield f"{path}.{enum.name}", enum
    for inner in outer.nested_type:
        yield from _messages_in(inner, f"{path}.{inner.name}")



def _message(kind: DescriptorProto, kinds: Mapping[str, Any], tops: Mapping[str, str]) -> dict[str, Any]:
    groups: dict[int, list[Sequence[str]]] = {}
    for field in kind.field:
        if field.HasField("oneof_index") and not field.proto3_optional:
            groups.setdefault(field.oneof_index, []).append(_names(field))
    return message(
        [(_names(field), nullable(_value(field, kinds, tops))) for field in kind.field],
        required=[_names(field) for field in kind.field if field.label == _Field.LABEL_REQUIRED],
        either=groups.values(),
    )


def _names(field: FieldDescriptorProto) -> list[str]:
    """Return the names that JSON may have for a field: its own, and the one in lowerCamelCase."""
    return list(dict.fromkeys([field.name, field.json_name]))


def _value(field: FieldDescriptorProto, kinds: Mapping[str, Any], tops: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the schema of a field that is there."""
    if field.label != _Field.LABEL_REPEATED:
        return _single(field, kinds, tops)
    entry = kinds.get(field.type_name)
    if isinstance(entry, DescriptorProto) and entry.options.map_entry:
        key, value = entry.field
        found = {"type": ["object"], "additionalProperties": _not_null(_single(value, kinds, tops))}
        return found | ({"propertyNames": {"pattern": _KEY}} if key.type in _BITS else {})
    return {"type": ["array"], "items": _not_null(_single(field, kinds, tops))}


def _not_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**schema, "type": "object"} if "$ref" in schema else schema


def _single(field: FieldDescriptorProto, kinds: Mapping[str, Any], tops: Mapping[str, str]) -> Mapping[str, Any]:
    if field.type in _BITS:
        bits, signed = _BITS[field.type]
        return _integer(bits, signed=signed)
    if field.type == _Field.TYPE_ENUM:
        return _enum(kinds[field.type_name], field.type_name)
    if field.type in (_Field.TYPE_MESSAGE, _Field.TYPE_GROUP):
        known = _well_known(field.type_name)
        return described(_short(field.type_name, tops)) if known is None else known
    return _PLAIN[field.type]


def _enum(enum: EnumDescriptorProto, path: str) -> Mapping[str, Any]:
    """Return the schema of a value of an enum: the name or the number of one of its values."""
    if path == ".google.protobuf.NullValue":
        return ANYTHING
    names, numbers = [value.name for value in enum.value], [value.number for value in enum.value]
    return {"enum": [*names, *dict.fromkeys(numbers), None]}


def _compiled(source: Path) -> FileDescriptorSet | None:
    """Return what protoc makes of a definition; None when it has written to stderr what is wrong."""
    made = source.with_suffix(".compiled")
    known = Path(protoc.__file__).parent / "_proto"
    options = (f"-I{source.parent}", f"-I{known}", f"--descriptor_set_out={made}", "--include_imports")
    if protoc.main(["protoc", *options, source.name]):
        return None
    return FileDescriptorSet.FromString(made.read_bytes())


def main(path: str) -> int:
    be_bounded()
    source = Path(path)
    compiled = _compiled(source)
    if compiled is None:
        return 1
    return finish(source.name, lambda: translated(compiled, source.name))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
