"""Why a message is not valid: the first thing in it that a JSON Schema does not allow.

jsonschema-rs would list every fault of every alternative, which takes a millisecond for a short message, minutes for a
long one, and for ever where alternatives are nested in the message. So the schema is walked here, down to the first
part of it that the message does not satisfy, and jsonschema-rs only says of each part whether it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import jsonschema_rs

from ssmd.errors import printable
from ssmd.schema.meant import Alternatives
from ssmd.schema.validators import MASK, Parts

__all__ = ["Explainer", "Reason", "path_of", "text_of"]

_LONGEST_REASON = _LONGEST_PATH = 200
_DEEPEST = 64
"""How many parts of a schema lead to the one that is named, at most."""
_MOST_ALTERNATIVES = 1000
"""With more alternatives, it is not tried which of them are valid, because that takes too long."""

_LEAVES = frozenset(
    {
        *("const", "contains", "dependentRequired", "enum", "exclusiveMaximum", "exclusiveMinimum", "format"),
        *("maxContains", "maxItems", "maxLength", "maxProperties", "maximum"),
        *("minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf"),
        *("not", "pattern", "propertyNames", "required", "type", "uniqueItems"),
    }
)
"""Keywords of which jsonschema-rs says what is wrong, with one error each."""

_NO_DEMANDS = ("$comment", "$defs", "$id", "$schema", "definitions", "description", "title")


class Reason(NamedTuple):
    """Why a message is not valid. Neither text holds a value of the message."""

    path: str
    """Where, such as `msg.levels[0]`; empty for the whole message."""
    text: str
    """What is wrong there, at most 200 characters, such as `is not of type "string"`."""


class _Part(NamedTuple):
    """A part of the schema, and what it is about."""

    pointer: str
    schema: Any
    value: Any
    steps: tuple[str | int, ...]
    """Where that is in the message."""


class Explainer:
    """Explains by one schema, as decoded JSON. `unknown`: the reason where none is found."""

    def __init__(self, schema: Any, unknown: str) -> None:
        self._root = schema
        draft = str(schema.get("$schema")) if isinstance(schema, dict) else ""
        self._lone_references = "/draft-0" in draft
        """Whether nothing counts beside a reference, as in older drafts."""
        self._unread = {"prefixItems"} if self._lone_references or "/2019-09/" in draft else set[str]()
        """Keywords that only newer drafts have."""
        self._parts = Parts(schema)
        self._unknown = unknown
        self._alternatives: dict[str, tuple[Sequence[_Part], Alternatives]] = {}
        """By their place in the schema."""

    def reason(self, document: Any) -> Reason:
        """Return why a decoded message is not valid, which it must not be. Raises ValueError for one that cannot be
        checked.
        """
        part = _Part("", self._root, document, ())
        for _ in range(_DEEPEST):
            if part.schema is False:
                return Reason(path_of(part.steps), "is not allowed")
            if not isinstance(part.schema, dict):
                break
            if self._lone_references and "$ref" in part.schema:
                part = part._replace(schema={"$ref": part.schema["$ref"]})
            if self._unread & part.schema.keys():
                part = part._replace(schema={k: v for k, v in part.schema.items() if k not in self._unread})
            found = self._leaf(part) or self._inside(part)
            if isinstance(found, Reason):
                return found
            if found is None:
                break
            part = found
        return Reason(path_of(part.steps), self._unknown)

    def _leaf(self, part: _Part) -> Reason | None:
        """Return what is wrong by the keywords of the part itself."""
        keywords = {name: value for name, value in part.schema.items() if name in _LEAVES}
        if not keywords:
            return None
        try:
            self._parts.of(part.pointer, keywords).validate(part.value)
        except jsonschema_rs.ValidationError as error:
            more = [getattr(error.kind, "property", "")] if error.kind.name == "required" else []
            text = "is missing" if more else text_of(error)
            # What propertyNames is about has no path of its own.
            return Reason(path_of([*part.steps, *error.instance_path, *more]), text)
        except (ValueError, jsonschema_rs.ReferencingError):
            pass
        return None

    def _inside(self, part: _Part) -> _Part | Reason | None:
        """Return the first part within this one that is not satisfied, or what is wrong with its alternatives."""
        for inner in _within(part, self._root):
            if not self._is_valid(inner):
                return inner
        for keyword in ("if", "anyOf", "oneOf"):
            if keyword in part.schema and (found := self._chosen(part, keyword)) is not None:
                return found
        return None

    def _chosen(self, part: _Part, keyword: str) -> _Part | Reason | None:
        """Return what is wrong by a keyword with alternatives; None when nothing is."""
        if keyword == "if":
            branch = "then" if self._is_valid(_at(part, "if")) else "else"
            inner = _at(part, branch) if branch in part.schema else None
            return inner if inner is not None and not self._is_valid(inner) else None
        parts, known = self._known_alternatives(part, keyword)
        found = known.meant(part.value)
        one = None if found is None else _there(parts[found], part)
        is_alone = part.schema.keys() <= {keyword, *_NO_DEMANDS}
        if one is not None and is_alone and not self._is_valid(one):
            return one
        if len(parts) <= _MOST_ALTERNATIVES:
            valid = sum(self._is_valid(_there(each, part)) for each in parts)
        elif is_alone and keyword == "anyOf":
            valid = 0  # Otherwise the message would be valid.
        else:
            return None
        if valid == 1 or (valid and keyword == "anyOf"):
            return None
        if one is not None and not valid:
            return one
        how = "is valid under more than one" if valid else "is not valid under any"
        return Reason(path_of(part.steps), f"{how} of the schemas in '{keyword}'")

    def _known_alternatives(self, part: _Part, keyword: str) -> tuple[Sequence[_Part], Alternatives]:
        """Return the alternatives of a part, which are about nothing yet, and what tells them apart."""
        key = f"{part.pointer}/{keyword}"
        if key not in self._alternatives:
            blank = part._replace(value=None, steps=())  # What is kept holds no message.
            parts = [_at(blank, keyword, index) for index in range(len(part.schema[keyword]))]
            self._alternatives[key] = parts, Alternatives([_resolved(each, self._root).schema for each in parts])
        return self._alternatives[key]

    def _is_valid(self, part: _Part) -> bool:
        if isinstance(part.schema, bool):
            return part.schema
        try:
            return bool(self._parts.at(part.pointer).is_valid(part.value))
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError):
            return True  # It is no part of a schema.


def _within(part: _Part, root: Any) -> Iterator[_Part]:
    """Yield the parts that all have to be satisfied."""
    schema, value = part.schema, part.value
    if "$ref" in schema:
        found = _resolved(part, root)
        if found is not part:
            yield found
    for index in range(len(schema.get("allOf", ()))):
        yield _at(part, "allOf", index)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in properties:
            if name in value:
                yield _at(part, "properties", name)._replace(value=value[name], steps=(*part.steps, name))
        if "additionalProperties" in schema and "patternProperties" not in schema:
            further = _at(part, "additionalProperties")
            for name in value.keys() - properties.keys():
                yield further._replace(value=value[name], steps=(*part.steps, name))
    elif isinstance(value, list):
        yield from _items(part, value)


def _there(inner: _Part, part: _Part) -> _Part:
    """Return a part of the schema as what the value of another one has to be."""
    return inner._replace(value=part.value, steps=part.steps)


def _items(part: _Part, values: Sequence[Any]) -> Iterator[_Part]:
    items = part.schema.get("items")
    prefix = "items" if isinstance(items, list) else "prefixItems"  # Of older drafts, the former.
    rest = "additionalItems" if isinstance(items, list) else "items"
    firsts = part.schema.get(prefix)
    first = len(firsts) if isinstance(firsts, list) else 0
    for index, value in enumerate(values):
        if index < first:
            inner = _at(part, prefix, index)
        elif rest in part.schema:
            inner = _at(part, rest)
        else:
            return
        yield inner._replace(value=value, steps=(*part.steps, index))


def _at(part: _Part, *steps: str | int) -> _Part:
    """Return the part at some steps within another one."""
    schema, pointer = part.schema, part.pointer
    for step in steps:
        schema = schema[step]
        pointer += "/" + quote(str(step).replace("~", "~0").replace("/", "~1"), safe="~")
    return part._replace(pointer=pointer, schema=schema)


def _resolved(part: _Part, root: Any) -> _Part:
    """Return the part that another one refers to; the same one where it is in no `#/...` of this file."""
    schema = part.schema
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return part
    found: Any = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, dict) and name in found:
            found = found[name]
        else:
            return part
        if isinstance(found, dict) and "$id" in found and found is not root:
            return part
    return part._replace(pointer=reference[1:], schema=found)


def path_of(steps: Sequence[str | int]) -> str:
    """Return where something is in a message, such as `msg.levels[0]`."""
    texts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return printable("".join(texts).removeprefix("."), _LONGEST_PATH)


def text_of(error: Any) -> str:
    """Return what an error of jsonschema-rs says."""
    if error.kind.name == "falseSchema":
        return "is not allowed"
    message = error.message if len(error.message) <= 4 * _LONGEST_REASON else error.message[: 4 * _LONGEST_REASON]
    return printable(message.removeprefix(f"{MASK} "), _LONGEST_REASON)
