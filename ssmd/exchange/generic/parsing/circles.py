"""Whether a reply would match the message that it sends itself."""

from __future__ import annotations

from typing import Any

from ssmd.exchange.generic.description import EXISTS, IS, NOT, Condition, Match
from ssmd.exchange.generic.template import holds_one
from ssmd.field_path import value_at

__all__ = ["would_match"]

_NOTHING = object()


def would_match(match: Match, sent: Any) -> bool:
    """Return whether a match holds, or may hold, for a message with placeholders in it."""
    return any(all(_may_hold(condition, sent) for condition in conditions) for conditions in match)


def _may_hold(condition: Condition, sent: Any) -> bool:
    path, test, value = condition
    if (path is None) != isinstance(sent, str):
        return False
    found = sent
    if path is not None:
        try:
            found = value_at(sent, path)
        except LookupError:
            found = _NOTHING
    if test == EXISTS:
        return (found is not _NOTHING) is value
    if isinstance(found, str) and "${" in found:
        return holds_one(found) is not None or test in (IS, NOT) or _begins(found, value)
    if test in (IS, NOT):
        equals = isinstance(found, bool) == isinstance(value, bool) and bool(found == value)
        return equals if test == IS else not equals and found is not _NOTHING
    return isinstance(found, str) and found.startswith(value)


def _begins(template: str, prefix: str) -> bool:
    """Return whether the text before the first placeholder allows for the prefix."""
    fixed = template.partition("${")[0]
    return fixed.startswith(prefix) or prefix.startswith(fixed)
