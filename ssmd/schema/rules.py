"""What a JSON Schema demands at one place of a message, gathered from all the schemas that apply there.

Only JSON Schema 2020-12 is read here, and of it only what msgspec can check: https://json-schema.org/draft/2020-12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

__all__ = ["DRAFT", "TYPES", "Inexpressible", "Rules", "gather", "resolved"]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
"""What `$schema` says of the draft that is read here."""

TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})

# Keywords that allow every message: https://json-schema.org/draft/2020-12/json-schema-validation#section-9. `format`
# and the content keywords are such, too, unless a vocabulary demands more, and then `$schema` is another one.
_ANNOTATIONS = frozenset(
    {
        "$comment",
        "$defs",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "example",
        "examples",
        "format",
        "readOnly",
        "title",
        "writeOnly",
    }
)
_BOUNDS = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
    }
)
_OF_ONE_TYPE = _BOUNDS | {"items", "pattern", "prefixItems", "properties", "required"}
"""Keywords that values of all types but one pass."""
_LARGEST_BOUND = 2**53
_MOST_REFERENCES = 100


class Inexpressible(Exception):
    """The schema demands something that cannot be checked here, so that only the judge can decide."""


class Rules:
    """What is demanded of one value. Without any demand, every value is valid."""

    def __init__(self) -> None:
        self.types = TYPES
        self.values: Sequence[Any] | None = None
        """The only values that are valid; None for all."""
        self.properties: dict[str, list[Any]] = {}
        """For each field of an object the schemas that apply to it."""
        self.required: set[str] = set()
        self.items: list[Any] = []
        """The schemas that apply to each item of an array; none when there is `prefix`."""
        self.prefix: list[Any] | None = None
        """The schemas of the first items of an array."""
        self.patterns: list[str] = []
        self.bounds: dict[str, float] = {}
        """The limits by their keywords, such as `minLength`; the narrowest of each."""

    @property
    def allow_everything(self) -> bool:
        demands = (self.properties, self.required, self.items, self.prefix, self.patterns, self.bounds)
        return self.types == TYPES and self.values is None and not any(demands)

    def allow(self, types: Iterable[str]) -> None:
        allowed = set(types)
        narrowed = self.types & (allowed | ({"integer"} if "number" in allowed else set()))
        # An integer is a number, so both together are the integers.
        self.types = narrowed if "number" in allowed else narrowed - {"number"}

    def bound(self, keyword: str, limit: float) -> None:
        if not isinstance(limit, int) or abs(limit) > _LARGEST_BOUND:
            raise Inexpressible(keyword)
        narrower = min if "max" in keyword.lower() else max
        self.bounds[keyword] = narrower(limit, self.bounds.get(keyword, limit))


def gather(schemas: Iterable[Any], root: Mapping[str, Any]) -> Rules:
    """Return what several schemas demand together of one value. Raises Inexpressible."""
    rules = Rules()
    for schema in _flat(schemas, root):
        for keyword in schema:
            if keyword not in _ANNOTATIONS:
                _add(rules, schema, keyword)
    if rules.prefix is not None and rules.items:  # The first are also about the items of `prefixItems` elsewhere.
        raise Inexpressible("items")
    return rules


def resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    """Return what a `$ref` within the same file names. Raises Inexpressible for any other reference."""
    reference = schema["$ref"]
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise Inexpressible("$ref")
    found: Any = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or name not in found:
            raise Inexpressible("$ref")
        found = found[name]
        if isinstance(found, dict) and "$id" in found:  # From there on, references mean something else.
            raise Inexpressible("$id")
    return found


def _flat(schemas: Iterable[Any], root: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas without `$ref` and `allOf`: each with those that it brings along."""
    waiting = list(schemas)
    references = 0
    while waiting:
        schema = waiting.pop(0)
        if schema is True:
            continue
        if not isinstance(schema, dict):
            raise Inexpressible("false")
        if "$ref" in schema:
            references += 1
            if references > _MOST_REFERENCES:  # They go round in circles.
                raise Inexpressible("$ref")
            waiting.append(resolved(schema, root))
        waiting += schema.get("allOf", ())
        yield {keyword: value for keyword, value in schema.items() if keyword not in ("$ref", "allOf")}


def _add(rules: Rules, schema: Mapping[str, Any], keyword: str) -> None:
    value = schema[keyword]
    if keyword == "type":
        rules.allow([value] if isinstance(value, str) else value)
    elif keyword in ("const", "enum"):
        if rules.values is not None:
            raise Inexpressible(keyword)
        rules.values = [value] if keyword == "const" else value
    elif keyword == "properties":
        for name, schema in value.items():
            rules.properties.setdefault(name, []).append(schema)
    elif keyword == "required":
        rules.required.update(value)
    elif keyword == "items":
        # Beside `prefixItems` it is about further items, and the form of an array with such has none.
        rules.items += [] if "prefixItems" in schema else [value]
    elif keyword == "prefixItems":
        if rules.prefix is not None:
            raise Inexpressible(keyword)
        rules.prefix = value
    elif keyword == "pattern":
        rules.patterns.append(value)
    elif keyword in _BOUNDS:
        rules.bound(keyword, value)
    elif keyword in ("anyOf", "oneOf"):
        joined = _joined(value)
        for each in joined:
            _add(rules, joined, each)
    elif not (keyword == "additionalProperties" and (value is True or value == {})):
        raise Inexpressible(keyword)


def _joined(alternatives: Sequence[Any]) -> dict[str, Any]:
    """Return one schema for alternatives of different types, such as a text or null. Raises Inexpressible.

    What one of them demands of a text does not matter to a number, so all demands can be made at once.
    """
    joined: dict[str, Any] = {}
    types: list[str] = []
    for schema in alternatives:
        kind = schema.get("type") if isinstance(schema, dict) else None
        if not isinstance(kind, str) or kind in types:
            raise Inexpressible("anyOf")
        types.append(kind)
        for keyword, value in schema.items():
            if keyword in joined or keyword not in _OF_ONE_TYPE:
                if keyword in _ANNOTATIONS or keyword == "type":
                    continue
                raise Inexpressible("anyOf")
            joined[keyword] = value
    if {"integer", "number"} <= set(types):
        raise Inexpressible("anyOf")
    return joined | {"type": types}
