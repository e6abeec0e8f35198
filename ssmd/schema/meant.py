"""Which of several alternatives of a JSON Schema a message was most likely meant to be, when it is none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Alternatives"]


class Alternatives:
    """Several schemas, without references, of which a value may be any."""

    def __init__(self, schemas: Sequence[Any]) -> None:
        self._schemas = schemas
        constants = ([_constants(schema, keyword) for schema in schemas] for keyword in ("const", "enum"))
        self._constants: Sequence[Mapping[str, Sequence[Any]]] = next(filter(any, constants), [{} for _ in schemas])
        some = [found for found in self._constants if found]
        # The fields that tell them apart: those that all of them have, if there are any.
        names = (set(some[0]).intersection(*some) or set().union(*some)) if some else set()
        wanted = [{name: found[name] for name in names & found.keys()} for found in self._constants]
        self._told_apart = [(at, wanted[at]) for at, found in enumerate(self._constants) if found]

    def meant(self, value: Any) -> int | None:
        """Return the index of the one whose constants a value has, such as its type; or, where there are no constants,
        that of the one that is about values of its type in JSON. None where that is not one alone.
        """
        if isinstance(value, dict) and self._told_apart:
            here = [at for at, wanted in self._told_apart if _has(value, wanted)]
            return _only(here or [at for at, found in enumerate(self._constants) if not found])
        kind = _type_of(value)
        return _only([at for at, schema in enumerate(self._schemas) if _allows(schema, kind)])


def _only(found: Sequence[int]) -> int | None:
    return found[0] if len(found) == 1 else None


def _constants(schema: Any, keyword: str) -> dict[str, Sequence[Any]]:
    """Return the fields of an object that have a constant, or one of several, with these."""
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    found = {name: each[keyword] for name, each in properties.items() if isinstance(each, dict) and keyword in each}
    return {name: values if keyword == "enum" else [values] for name, values in found.items()}


def _has(value: Mapping[str, Any], wanted: Mapping[str, Sequence[Any]]) -> bool:
    return all(name in value and _is_one_of(value[name], found) for name, found in wanted.items())


def _is_one_of(value: Any, constants: Sequence[Any]) -> bool:
    return any(type(value) is type(one) and value == one for one in constants)


def _allows(schema: Any, kind: str) -> bool:
    types = schema.get("type", kind) if isinstance(schema, dict) else [kind] if schema else []
    allowed = types if isinstance(types, list) else [types]
    return kind in allowed or (kind == "integer" and "number" in allowed)


def _type_of(value: Any) -> str:
    types = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return types.get(type(value), "null")
