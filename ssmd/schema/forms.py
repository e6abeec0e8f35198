"""Types of msgspec that accept only what a JSON Schema allows at one place of a message.

A type may refuse what the schema allows: `1.0` where an integer is demanded, or an array that is shorter than its
`prefixItems`. It never accepts what the schema does not allow, except for patterns: msgspec would use Python's regular
expressions, which mean something else and can take for ever. So a form has a check of its own for them.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from ssmd.schema.patterns import Check, all_of, each, field, matches, named, place
from ssmd.schema.rules import Inexpressible, Rules, gather

__all__ = ["Bucket", "Default", "Forms"]

_MOST_PLACES = 2_000
_MOST_LEVELS = 32

_LIMITS = {
    "exclusiveMaximum": "lt",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "minimum": "ge",
    "maxItems": "max_length",
    "minItems": "min_length",
    "maxLength": "max_length",
    "minLength": "min_length",
}
"""The keywords of JSON Schema, and what msgspec calls them."""


class Form(NamedTuple):
    """What a value must be."""

    type: Any
    """For msgspec."""
    check: Check | None = None
    """Whether the texts in such values match their patterns; None when they have none, and for objects."""


class Bucket(NamedTuple):
    """The objects of one form that were decoded, in whatever messages and places; and the check of their texts.

    msgspec puts them there, which takes a fourth of the time that it would take to find them in the messages.
    """

    values: list[Any]
    check: Check


class Default(NamedTuple):
    """A field that the decoded message has in any case."""

    name: str
    """Of the attribute."""
    value: object
    """What it is when the message does not have it."""


_NO_DEFAULTS: Mapping[str, Default] = {}


class Forms:
    """Makes the types for the places of one schema. Each method raises Inexpressible where that cannot be."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._places = 0
        self.buckets: list[Bucket] = []

    def structure(
        self, rules: Rules, level: int = 0, defaults: Mapping[str, Default] = _NO_DEFAULTS, **options: Any
    ) -> Any:
        """Return the type of an object. When it has texts with patterns, it has one of the `buckets`, too.

        `level`: how deep it is in the message. `defaults`: by names of fields. `options`: those of msgspec.defstruct().
        """
        fields: list[tuple[Any, ...]] = []
        names: dict[str, str] = {}
        checks: list[Check] = []
        for name in dict.fromkeys([*rules.properties, *sorted(rules.required)]):
            demands = gather(rules.properties.get(name, ()), self._root)
            is_required = name in rules.required
            if demands.allow_everything and not is_required and name not in defaults:
                continue
            form = self._of(demands, level + 1)
            default = defaults.get(name) or Default(named(len(names), form.check), None)
            names[default.name] = name
            fields.append((default.name, form.type) if is_required else (default.name, form.type, default.value))
            if form.check is not None:
                checks.append(field(default.name, form.check, is_optional=not is_required))
        if (check := all_of(checks)) is not None:
            values: list[Any] = []
            self.buckets.append(Bucket(values, check))
            options["namespace"] = {**options.get("namespace", {}), "__post_init__": values.append}
        try:
            return msgspec.defstruct("Message", fields, rename=names, kw_only=True, gc=False, **options)
        except (TypeError, ValueError):  # The name of a field that cannot be one of msgspec's.
            raise Inexpressible("properties") from None

    def _of(self, rules: Rules, level: int) -> Form:
        self._places += 1
        if self._places > _MOST_PLACES or level > _MOST_LEVELS:  # The schema goes round in circles, or grows too large.
            raise Inexpressible("$ref")
        if rules.allow_everything:
            return Form(msgspec.Raw)
        if rules.values is not None:
            return _one_of(rules)
        if "object" in rules.types and (rules.properties or rules.required):
            return Form(self.structure(rules, level))
        if "array" in rules.types and (rules.items or rules.prefix is not None):
            return self._array(rules, level)
        if rules.patterns:
            return _text(rules)
        parts = [_plain(kind, rules) for kind in sorted(rules.types)]
        if not parts:
            raise Inexpressible("type")
        return Form(reduce(operator.or_, parts))

    def _array(self, rules: Rules, level: int) -> Form:
        if rules.prefix is not None:
            least, most = rules.bounds.get("minItems", 0), rules.bounds.get("maxItems", len(rules.prefix))
            if not least <= len(rules.prefix) <= most:
                raise Inexpressible("prefixItems")
            forms = [self._of(gather([schema], self._root), level + 1) for schema in rules.prefix]
            checks = [place(index, form.check) for index, form in enumerate(forms) if form.check is not None]
            return Form(tuple[tuple(form.type for form in forms)], all_of(checks))  # type: ignore[misc]
        form = self._of(gather(rules.items, self._root), level + 1)
        return Form(_limited(list[form.type], rules, "Items"), each(form.check) if form.check is not None else None)  # type: ignore[name-defined]


def _one_of(rules: Rules) -> Form:
    """Return the form of a value that must be one of several; not all of them need to be possible."""
    if rules.patterns or rules.bounds:
        raise Inexpressible("enum")
    values = [value for value in rules.values or () if _fits(value, rules.types)]
    if not values:
        raise Inexpressible("enum")
    return Form(Literal[tuple(values)])


def _fits(value: Any, types: frozenset[str]) -> bool:
    if isinstance(value, str):
        return "string" in types
    if type(value) is int:
        return bool({"integer", "number"} & types) and abs(value) < 2**63
    return value is None and "null" in types


def _text(rules: Rules) -> Form:
    if "string" not in rules.types:
        raise Inexpressible("pattern")
    text = _plain("string", rules)
    # What is no text passes every pattern, and so does null.
    return Form(text | None if "null" in rules.types else text, all_of([matches(each) for each in rules.patterns]))


def _plain(kind: str, rules: Rules) -> Any:
    """Return the type for values of one type of JSON, of whose content nothing is demanded."""
    if kind == "string":
        return _limited(str, rules, "Length")
    if kind == "integer":
        return int if "number" in rules.types else _limited(int, rules, "imum")
    if kind == "number":
        # A large integer is not exact as a float, so limits are checked with the integer itself.
        return _limited(int, rules, "imum") | _limited(float, rules, "imum")
    if kind == "array":
        return _limited(list[msgspec.Raw], rules, "Items")
    return {"object": _Anything, "boolean": bool, "null": None}[kind]


class _Anything(msgspec.Struct, gc=False):
    """An object with any fields."""


def _limited(plain: Any, rules: Rules, ending: str) -> Any:
    """Return a type with those limits whose keywords have this ending."""
    limits: dict[str, Any] = {_LIMITS[name]: limit for name, limit in rules.bounds.items() if name.endswith(ending)}
    try:
        return Annotated[plain, msgspec.Meta(**limits)] if limits else plain
    except ValueError:  # Such as `minimum` together with `exclusiveMinimum`.
        raise Inexpressible(ending) from None
