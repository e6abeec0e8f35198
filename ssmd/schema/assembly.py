"""Puts a JSON Schema together from the messages that a definition of another format describes."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ssmd.schema.names import of_types

__all__ = [
    "ANYTHING",
    "BASE64",
    "ROOT",
    "be_bounded",
    "described",
    "finish",
    "integer",
    "message",
    "nullable",
    "number",
    "whole",
]

ANYTHING: Mapping[str, Any] = {}
BASE64 = "^([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2,3}={0,2})?$"
ROOT = "Message"
"""The name of the message that describes every type for which there is none."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


_MOST_MEMORY = 2 << 30
"""In bytes of addresses; the library itself takes a tenth of that."""


def be_bounded() -> None:
    """Let this process fail, rather than the host, when a definition takes very much memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def described(name: str) -> dict[str, Any]:
    """Return the schema of a value that is a message with this name, or null."""
    return {"$ref": f"#/$defs/{name}"}


def integer(bits: int, *, signed: bool, types: Sequence[str] = ("integer",)) -> dict[str, Any]:
    """Return the schema of an integer."""
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return {"type": list(types), "minimum": least, "maximum": most}


def number() -> dict[str, Any]:
    return {"type": ["number"]}


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that may be null, which counts as absent."""
    found = dict(schema)
    if "type" in found:
        found["type"] = list(dict.fromkeys([*found["type"], "null"]))
    return found


def message(
    fields: Iterable[tuple[Sequence[str], Mapping[str, Any]]],
    required: Iterable[Sequence[str]] = (),
    either: Iterable[Sequence[Sequence[str]]] = (),
) -> dict[str, Any]:
    """Return the schema of a message, or null.

    `fields`: how JSON may spell the name of each, and its schema. `required`: the spellings of those that must be
    there. `either`: groups of fields, of each of which only one may be there.
    """
    schema: dict[str, Any] = {"type": ["object", "null"], "properties": {}}
    for spellings, value in fields:
        schema["properties"].update(dict.fromkeys(spellings, value))
    demands: list[Any] = [_is_there(spellings) for spellings in required]
    for group in either:
        demands += _at_most_one(list(map(_is_there, group)))
    return schema | ({"if": {"type": "object"}, "then": {"allOf": demands}} if demands else {})


def _at_most_one(conditions: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what demands that at most one condition holds: none in one half if there is one in the other half, and so
    on in each half. All pairs would be millions, where a group has thousands of fields.
    """
    if len(conditions) > 1:
        middle = len(conditions) // 2
        halves = conditions[:middle], conditions[middle:]
        yield {"not": {"allOf": [{"anyOf": list(half)} for half in halves]}}
        for half in halves:
            yield from _at_most_one(half)


def _is_there(spellings: Sequence[str]) -> dict[str, Any]:
    """Return what demands that a field is there, by any of its names, and is not null."""
    ways = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in spellings]
    return ways[0] if len(ways) == 1 else {"anyOf": ways}


def whole(tops: Collection[str], messages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of all messages of a feed.

    `tops`: the names of the messages that may stand for a type, each a key of `messages`, which has the schemas of all.
    The field `type` says which of them a message has to be. For a type that none stands for it is ROOT, and without
    a ROOT nothing is demanded. Raises ValueError when there is none at all.
    """
    if not tops:
        raise ValueError("no message is described at the top of the file")
    by_type: dict[str, str] = {}
    for name in tops:
        for type in of_types(name) if name != ROOT else ():
            by_type.setdefault(type, name)
    kinds = {f"type:{type}": _of_type(messages[name], {"const": type}, required=True) for type, name in by_type.items()}
    kinds["other"] = _of_type(messages.get(ROOT, {}), {"not": {"enum": list(by_type)}}, required=False)
    return {"$schema": _DRAFT, "anyOf": [described(name) for name in kinds], "$defs": {**kinds, **messages}}


def _of_type(schema: Mapping[str, Any], type: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    found: dict[str, Any] = {**schema, "type": "object", "properties": {**schema.get("properties", {}), "type": type}}
    return found | ({"required": ["type"]} if required else {})


def finish(name: str, schema: Callable[[], Mapping[str, Any]]) -> int:
    """Write the JSON Schema of a definition to stdout, or to stderr why there is none; return the exit code."""
    try:
        found = schema()
    except ValueError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0
