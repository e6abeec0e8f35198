"""How many steps a JSON Schema may take for one value of a message, at most.

Alternatives within alternatives multiply: where each of 40 parts refers to the next one twice, a single number would be
looked at for hours, and a collector would stand still. Parts that a message repeats by nesting do not count: what
jsonschema-rs has found about such a part and a value, it remembers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

__all__ = ["MOST_STEPS", "most_steps"]

MOST_STEPS = 100_000
"""What is still quick: a step takes some 10 ns."""
_MOST_PARTS = 5_000_000
"""How many parts are looked at to find it out."""

_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_ANY_FIELD = ("additionalProperties", "unevaluatedProperties")
_ANY_ITEM = ("additionalItems", "contains", "items", "unevaluatedItems")
_FIELDS, _ITEMS = "fields", "items"


def most_steps(schema: Any) -> int:
    """Return an upper bound. `schema`: decoded JSON that jsonschema-rs has accepted. Raises ValueError for one that is
    too large, and RecursionError.
    """
    return _Steps(schema).of(schema)


class _Steps:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._named = {name: part for part in _parts(root) for name in _names(part)}
        self._here: dict[int, Counter[int]] = {}
        """For each part those that are about the same value, and how often."""
        self._schemas: dict[int, dict[str, Any]] = {}
        self._found: dict[int, int] = {}
        self._looked_at = 0

    def of(self, schema: Any) -> int:
        if not isinstance(schema, dict):
            return 1
        if id(schema) in self._found:
            return self._found[id(schema)]
        self._found[id(schema)] = 1  # What leads back here is remembered by jsonschema-rs.
        here = self._parts_here(schema)
        kinds: dict[str, Counter[Any]] = {_FIELDS: Counter(), _ITEMS: Counter()}
        for part, times in here.items():
            for kind, name, inner in _inside(self._schemas[part]):
                kinds[kind][name] += times * self.of(inner)
        most = sum(here.values())
        for counts in kinds.values():
            of_any = counts.pop(None, 0)
            most = max(most, of_any + max(counts.values(), default=0))
        self._found[id(schema)] = most
        return most

    def _parts_here(self, schema: dict[str, Any]) -> Counter[int]:
        key = id(schema)
        if key not in self._here:
            self._schemas[key] = schema
            self._here[key] = Counter()  # As above.
            found = Counter({key: 1})
            for inner in self._beside(schema):
                found.update(self._parts_here(inner))
            self._looked_at += len(found)
            if self._looked_at > _MOST_PARTS:
                raise ValueError("it has too many parts")
            self._here[key] = found
        return self._here[key]

    def _beside(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the parts of a schema that are about the same value, and what it refers to."""
        found = [each for name in _LISTS for each in schema.get(name, ())]
        found += [schema[name] for name in _SINGLE if name in schema]
        for name in ("dependentSchemas", "dependencies"):
            if isinstance(parts := schema.get(name), dict):  # A draft may not know it, and then it may be anything.
                found += parts.values()
        found += [self._referred(schema[name]) for name in ("$ref", "$dynamicRef", "$recursiveRef") if name in schema]
        return (each for each in found if isinstance(each, dict))

    def _referred(self, reference: Any) -> Any:
        file, _, fragment = str(reference).partition("#")
        found: Any = self._named.get(file, self._root if not file else None)
        if fragment and not fragment.startswith("/"):
            return self._named.get(f"#{fragment}")
        for step in fragment.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        return found


def _inside(schema: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a schema demands of the fields and items of a value: by name or place, or None for any of them."""
    for name, inner in schema.get("properties", {}).items():
        yield _FIELDS, name, inner
    for inner in schema.get("patternProperties", {}).values():
        yield _FIELDS, None, inner
    for name in _ANY_FIELD:
        yield _FIELDS, None, schema.get(name)
    yield _FIELDS, "", schema.get("propertyNames")
    for name in ("prefixItems", *_ANY_ITEM):
        inner = schema.get(name)
        if isinstance(inner, list):
            yield from ((_ITEMS, at, each) for at, each in enumerate(inner))
        else:
            yield _ITEMS, None, inner


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects in a schema."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _names(part: dict[str, Any]) -> Iterator[str]:
    for keyword in ("$id", "id"):
        if isinstance(part.get(keyword), str):
            yield part[keyword]
    for keyword in ("$anchor", "$dynamicAnchor"):
        if isinstance(part.get(keyword), str):
            yield f"#{part[keyword]}"
