"""The variants of a message, which a JSON Schema tells apart by one field with a constant, such as `type`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.schema.rules import DRAFT, Inexpressible, resolved

__all__ = ["Variants", "variants_of"]

_MOST_TAGS = 1_000
_OWN = frozenset({"$id", "allOf", "anyOf", "oneOf", "if", "then", "else"})
"""Keywords of a schema as a whole that are read here."""


class Variants:
    """What applies to messages by the constant that they have in a field.

    `alternatives`: for each constant the schema of which one must hold; empty when the schema has none. `conditions`:
    each has the constants for which its second schema applies; for all others it is the third.
    """

    def __init__(
        self,
        field: str,
        always: Sequence[Any],
        alternatives: Mapping[str, Any],
        conditions: Sequence[tuple[Sequence[str], Any, Any]],
        known: Sequence[str],
    ) -> None:
        self.field = field
        """The name of the field; empty when there are no variants."""
        self._always = always
        self._alternatives = alternatives
        self._conditions = conditions
        tags = alternatives or dict.fromkeys([*(tag for tags, _, _ in conditions for tag in tags), *known])
        self.tags: Sequence[str | None] = list(tags)[:_MOST_TAGS] or [None]
        """The constants; None stands for a message of a schema without variants."""

    def schemas(self, tag: str | None) -> list[Any]:
        """Return the schemas that apply to the messages with this constant."""
        if tag is None:
            return list(self._always)
        schemas = [*self._always, *([self._alternatives[tag]] if self._alternatives else ())]
        return schemas + [then if tag in tags else other for tags, then, other in self._conditions]


def variants_of(root: Any) -> Variants:
    """Return the variants of a whole schema. Raises Inexpressible when it is of a form that is not known here."""
    if not isinstance(root, dict) or root.get("$schema", DRAFT) not in (DRAFT, f"{DRAFT}#"):
        raise Inexpressible("$schema")
    parts = [root, *root.get("allOf", ())]
    conditional = [part for part in parts if isinstance(part, dict) and "if" in part]
    rest = {keyword: value for keyword, value in root.items() if keyword not in _OWN}
    always = [rest, *(part for part in root.get("allOf", ()) if part not in conditional)]
    if any(set(part) - {"if", "then", "else"} for part in conditional if part is not root):
        raise Inexpressible("if")
    if "oneOf" in root and "anyOf" in root:
        raise Inexpressible("oneOf")
    alternatives = [_whole(each, root) for each in root.get("oneOf") or root.get("anyOf") or ()]
    if "anyOf" in root:  # A message need not be checked against alternatives that it need not have, such as `other`.
        alternatives = [each for each in alternatives if _constants(each)] or alternatives
    ifs = [_condition(part["if"]) for part in conditional]
    constants = [*map(_constants, alternatives), *ifs]
    names = set.intersection(*map(set, constants)) if constants else set(_constants(rest))
    if len(names) != 1:
        if constants:
            raise Inexpressible("oneOf")
        return Variants("", always, {}, (), ())
    [name] = names
    tags = [(tag, schema) for schema in alternatives for tag in _constants(schema)[name]]
    if len(dict(tags)) < len(tags):
        raise Inexpressible("oneOf")
    conditions = [
        (found[name], part.get("then", True), part.get("else", True))
        for found, part in zip(ifs, conditional, strict=True)
    ]
    return Variants(name, always, dict(tags), conditions, _constants(rest).get(name, ()))


def _whole(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """Return an alternative; when it is only a reference, what that names."""
    for _ in range(10):
        if not isinstance(schema, dict):
            break
        if set(schema) - {"description", "title", "$comment"} != {"$ref"}:
            return schema
        schema = resolved(schema, root)
    raise Inexpressible("oneOf")


def _condition(schema: Any) -> dict[str, Sequence[str]]:
    """Return the constants of an `if`, by the name of their field, when it demands nothing else."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise Inexpressible("if")
    found = _constants(schema)
    properties = schema.get("properties", {})
    is_plain = all(set(each) <= {"const", "enum", "type"} for each in properties.values())
    others = set(schema) - {"properties", "required", "type"}
    if len(properties) != 1 or not found or not is_plain or others or set(schema.get("required", found)) != set(found):
        raise Inexpressible("if")
    return found


def _constants(schema: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the fields of an object that have one of several constant texts, with these."""
    properties = schema.get("properties", {})
    return {name: found for name, each in properties.items() if (found := list(_texts(each)))}


def _texts(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    if all(isinstance(value, str) for value in values):
        yield from values
