"""Reads a feed's `dialect` section: into a Description, or into a list of what is wrong with it.

Both come from one reading, so that whatever is found valid is understood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.exchange.generic.description import EMPTY, Description
from ssmd.exchange.generic.parsing.asking import asked, confirmed
from ssmd.exchange.generic.parsing.field import Field, Read, choice, each, shown
from ssmd.exchange.generic.parsing.match import match
from ssmd.exchange.generic.parsing.message_types import message_types
from ssmd.exchange.generic.parsing.paths import paths
from ssmd.exchange.generic.parsing.sending import ending, handshake_headers, keep_alive, prepare, reply, token

__all__ = ["OF_RECORDED", "parse", "problems_of"]

_MESSAGE_TYPES = "message_types"
"""What feeds for other programs have instead of `paths`, beside their `versions`."""

OF_RECORDED = ("paths", _MESSAGE_TYPES)
"""The fields by which recorded messages are read. The others are about the connection."""

_FIELDS: Mapping[str, Read] = {
    "headers": handshake_headers,
    "subprotocol": token,
    "decompress": choice("gzip", "deflate"),
    "prepare": prepare,
    "keep_alive": each(keep_alive, "mappings with `every_seconds` and `send`"),
    "replies": each(reply, "mappings with `when` and `send`"),
    "end_when": each(ending, "mappings with `when` and `as`"),
    "ignore": match,
    "asked": asked,
    "confirmed": confirmed,
    "paths": paths,
}
"""What reads each field; the names are those of Description."""

_ONE_LEVEL_UP = "stands beside `dialect`, not in it; move it one level up"
_ELSEWHERE: Mapping[str, str] = {
    "rate_limit_per_second": _ONE_LEVEL_UP,
    "max_symbols_per_connection": _ONE_LEVEL_UP,
    "endpoint": _ONE_LEVEL_UP,
    "subscribe": "stands in the environment, not in the feed; move it there",
    "messages": "stands in `subscribe` of the environment; move it there",
    "sequence": "stands in `paths`; move it there",
    "reply": "is not a field that ssmd knows here; did you mean `replies`?",
}
"""What to say of fields that are often written here."""


def parse(section: Mapping[str, Any]) -> Description:
    """Return the description; what is wrong in the section is left out: a ledger may come from another version."""
    return _read(section, [])


def problems_of(section: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report what is wrong in the section, each problem with its path within it."""
    problems: list[FieldProblem] = []
    _read(section, problems)
    return iter(problems)


def _read(section: Any, problems: list[FieldProblem]) -> Description:
    if not isinstance(section, dict):
        problems.append(FieldProblem((), f"must be a mapping (`key: value` lines), not {shown(section)}"))
        return EMPTY
    whole = Field(section, (), problems, _prepared_names(section))
    in_dialect = {name: value for name, value in section.items() if name != _MESSAGE_TYPES}
    found = whole._replace(value=in_dialect).fields(_FIELDS, _ELSEWHERE)
    if "confirmed" in found and not _goes_with_asked(whole, found):
        del found["confirmed"]
    by_type = message_types(whole.at(_MESSAGE_TYPES)) if _MESSAGE_TYPES in section else None
    if by_type is not None and found.setdefault("paths", by_type) is not by_type:
        message = "has no effect in this version: `dialect` has `paths`, which are used instead"
        whole.report(message, _MESSAGE_TYPES, warning=True, lenient=True)
    return Description(**found)


def _prepared_names(section: Any) -> list[str]:
    prepare = section.get("prepare") if isinstance(section, dict) else None
    take = prepare.get("take") if isinstance(prepare, dict) else None
    return list(take) if isinstance(take, dict) else []


def _goes_with_asked(whole: Field, found: Mapping[str, Any]) -> bool:
    """Report a confirmation of what is never asked for."""
    asking, confirmation, field = found.get("asked"), found["confirmed"], whole.at("confirmed")
    if asking is None:
        if whole.value.get("asked") is None:  # Otherwise it is there with an error of its own.
            field.report("needs `asked`: where the messages that ssmd sends say what they ask for")
        return False
    alone = [name for name in ("channel", "market", "id") if getattr(confirmation, name) and not getattr(asking, name)]
    for name in alone:
        field.report(f"needs `asked.{name}`: where a message that ssmd sends has the same", name)
    return not alone
