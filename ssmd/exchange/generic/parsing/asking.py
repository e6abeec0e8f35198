"""Reads `asked` and `confirmed`: what the messages that ssmd sends ask for, and how the exchange confirms it."""

from __future__ import annotations

from typing import Any

from ssmd.exchange.generic.description import Asking, Confirmation
from ssmd.exchange.generic.parsing.field import Field, some_path
from ssmd.exchange.generic.parsing.match import match
from ssmd.exchange.generic.parsing.pick import pick

__all__ = ["asked", "confirmed"]

_KNOWN = {"when": match, "channel": pick(every=True), "market": pick(every=True), "id": some_path(every=False)}


def asked(field: Field) -> Asking | None:
    fields = field.mapping(_KNOWN)
    if fields is None:
        return None
    if "channel" not in fields and "market" not in fields:
        field.report("needs `channel` or `market`: where a message says what it asks for")
        return None
    return Asking(fields.get("when", ()), *_picks(fields))


def confirmed(field: Field) -> Confirmation | None:
    fields = field.mapping(_KNOWN, ["when"])
    if fields is None:
        return None
    if not any(name in fields for name in ("channel", "market", "id")):
        field.report("needs `channel`, `market` or `id`: where an answer says what it confirms")
        return None
    return Confirmation(fields["when"], *_picks(fields))


def _picks(fields: dict[str, Any]) -> tuple[Any, Any, Any]:
    return fields.get("channel"), fields.get("market"), fields.get("id")
