"""Reads a match: what a message must have in it."""

from __future__ import annotations

from typing import Any

from ssmd.exchange.generic.description import EXISTS, IS, NOT, PREFIX, Condition, Match
from ssmd.exchange.generic.parsing.field import Field, entries, flag, path, shown, text

__all__ = ["match"]

TEXT = "text"
"""In place of a path: the text of a message that is not JSON."""

_FORMS = "a value, {exists: true}, {exists: false}, {prefix: ...} or {not: ...}"
_LIKE_TRUTH = ("yes", "no", "on", "off")
"""Words that older YAML took for true and false."""
_OPERATORS = {EXISTS: flag, PREFIX: text}
"""How to read what stands behind the name of a test; behind NOT there is a literal."""


def match(field: Field) -> Match | None:
    """Read a match: a mapping of paths to what is there, or a list of mappings, one of which must hold."""
    if not isinstance(field.value, list):
        conditions = _conditions(field)
        return None if conditions is None else (conditions,)
    found = [_conditions(entry) for entry in entries(field, "mappings")]
    return tuple(conditions for conditions in found if conditions is not None) or None


def _conditions(field: Field) -> tuple[Condition, ...] | None:
    """Read conditions that must hold together; None when one of them is not understood."""
    if not isinstance(field.value, dict):
        field.report(f"must be a mapping of paths to values, such as `{{event: error}}`, not {shown(field.value)}")
        return None
    if not field.value:
        field.report("is an empty mapping, which would match every message; name a field that the message must have")
        return None
    if TEXT in field.value and len(field.value) > 1:
        field.report("cannot stand beside paths: a message that is not JSON has no fields; write two mappings", TEXT)
        return None
    found = [_condition(name, field.at(name)) for name in field.value]
    conditions = tuple(condition for condition in found if condition is not None)
    return conditions if len(conditions) == len(found) else None


def _condition(name: str, field: Field) -> Condition | None:
    where = None if name == TEXT else path(field._replace(value=name))
    test = _test(field)
    if test is None or (where is None and name != TEXT):
        return None
    if where is None and not (test[0] in (IS, PREFIX) and isinstance(test[1], str)):
        field.report("is for a message that is not JSON, so it must be a text or {prefix: ...}")
        return None
    return Condition(where, *test)


def _test(field: Field) -> tuple[str, Any] | None:
    """Return the test of a Condition and its value."""
    value = field.value
    if not isinstance(value, dict):
        return (IS, value) if _is_literal(field) else None
    if list(value) == [NOT]:
        return (NOT, value[NOT]) if _is_literal(field.at(NOT)) else None
    if len(value) != 1 or (name := next(iter(value))) not in _OPERATORS:
        field.report(f"must be {_FORMS}")
        return None
    operand = _OPERATORS[name](field.at(name))
    return None if operand is None else (name, operand)


def _is_literal(field: Field) -> bool:
    """Return whether there is a value to compare a field with; null is one."""
    value = field.value
    if isinstance(value, list):
        field.report("is a list, but a field is compared with one value; name one item in the path, as in a[0]")
    elif isinstance(value, dict):
        field.report("is a mapping, but a field is compared with one value; name a field of it in the path, as in a.b")
    elif isinstance(value, str) and value in _LIKE_TRUTH:
        message = f"is the text `{value}`; write true or false if the exchange sends one of these"
        field.report(message, warning=True, lenient=True)
    return not isinstance(value, list | dict)
