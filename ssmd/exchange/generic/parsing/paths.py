"""Reads `paths`: where a message says what it is, how it is numbered, and when it was made."""

from __future__ import annotations

from typing import Any

from ssmd.contracts.exchange import CHAIN, COUNTER, RANGE
from ssmd.exchange.generic.description import Paths, Pick, Sequence
from ssmd.exchange.generic.parsing.field import Field, entries, path, shown
from ssmd.exchange.generic.parsing.match import match
from ssmd.exchange.generic.parsing.pick import pick
from ssmd.field_path import FieldPath
from ssmd.spelling import nearest

__all__ = ["CHANNEL", "CHANNEL_AND_MARKET", "CONNECTION", "MARKET", "paths"]

CONNECTION, CHANNEL, MARKET = "connection", "channel", "market"
CHANNEL_AND_MARKET = "channel_and_market"
_SCOPES = (CONNECTION, CHANNEL, MARKET, CHANNEL_AND_MARKET)
_SCOPE_FORMS = f"must be {', '.join(_SCOPES)}, or `{{path: ...}}` for the value of a field"
_NEEDED: dict[str, list[tuple[str, ...]]] = {
    CHANNEL: [("channel", "type")],
    MARKET: [("market",)],
    CHANNEL_AND_MARKET: [("channel", "type"), ("market",)],
}
"""The paths that each scope needs: one of each tuple."""
_FORMS = {"plus_one": COUNTER, "range": RANGE, "previous": CHAIN}
"""The kind of a sequence by the field that describes it."""


def paths(field: Field) -> Paths | None:
    """Read the section; what is wrong in it is left out, and the rest keeps its meaning."""
    if field.value == {}:
        field.report("is an empty mapping; add a field to it, or remove it")
        return None
    picks = {"type": pick(), "channel": pick(), "market": pick(), "time": pick(time=True)}
    found = field.fields(picks | {"sequence": _sequences})
    sequences = tuple(_usable(field, found))
    found.pop("sequence", None)
    return Paths(**found, sequences=sequences)


def _usable(field: Field, found: dict[str, Any]) -> list[Sequence]:
    """Return the sequences without those that are numbered by a channel or a market that no path leads to."""
    usable = []
    for at, sequence in found.get("sequence", ()):
        needed = _NEEDED.get(str(sequence.scope), [])
        missing = next((names for names in needed if not any(name in found for name in names)), None)
        if missing is None:
            usable.append(sequence)
        elif not any(field.value.get(name) for name in missing):  # Otherwise it is there with an error of its own.
            names = " or ".join(f"`paths.{name}`" for name in missing)
            field.report(f"is {sequence.scope}, which needs {names}: where a message has it", *at, "scope")
    return usable


def _sequences(field: Field) -> list[tuple[tuple[str | int, ...], Sequence]]:
    """Return the sequences, each with its path within `paths`."""
    if isinstance(field.value, list):
        places: list[tuple[tuple[str | int, ...], Field]] = [
            (("sequence", index), entry) for index, entry in enumerate(entries(field, "mappings"))
        ]
    else:
        places = [(("sequence",), field)]
    return [(at, found) for at, entry in places if (found := _sequence(entry)) is not None]


def _sequence(field: Field) -> Sequence | None:
    known = {"plus_one": path, "range": _range, "previous": _chain, "scope": _scope, "when": match}
    known["restart_when"] = match
    fields = field.mapping(known)
    if not isinstance(field.value, dict):
        return None
    if field.value.get("scope") is None:
        field.report(f"is required: which messages are numbered together; {_SCOPE_FORMS}", "scope")
        fields = None
    forms = [name for name in _FORMS if field.value.get(name) is not None]
    if len(forms) != 1 and (forms or set(field.value) <= set(known)):  # An unknown field may be one of them misspelt.
        field.report("must have one of `plus_one`, `range` and `previous`: how its numbers follow each other")
        return None
    if fields is None:
        return None
    numbers = fields[forms[0]]
    first, last = numbers if forms[0] != "plus_one" else (numbers, numbers)
    conditions = {name: fields[name] for name in ("when", "restart_when") if name in fields}
    return Sequence(_FORMS[forms[0]], first, last, fields["scope"], **conditions)


def _range(field: Field) -> tuple[FieldPath, FieldPath] | None:
    return _pair(field, "its first and its last number, as in `[data.U, data.u]`")


def _chain(field: Field) -> tuple[FieldPath, FieldPath] | None:
    return _pair(field, "the number of the message before and its own, as in `[data.prevSeqId, data.seqId]`")


def _pair(field: Field, what: str) -> tuple[FieldPath, FieldPath] | None:
    """Read two paths."""
    if not isinstance(field.value, list) or len(field.value) != 2:
        field.report(f"must be a list of two paths, to {what}, not {shown(field.value)}")
        return None
    first, last = (path(field.at(index)) for index in range(2))
    if first is None or last is None:
        return None
    if first == last:
        field.report(f"names one path twice; for a number that grows by one, write `plus_one: {first}`")
        return None
    return first, last


def _scope(field: Field) -> str | Pick | None:
    if isinstance(field.value, dict):
        found: Pick | None = pick()(field)
        return found
    if isinstance(field.value, str) and field.value in _SCOPES:
        return field.value
    hint = nearest(field.value, _SCOPES) if isinstance(field.value, str) else ""
    field.report(f"{_SCOPE_FORMS}, not {shown(field.value)}{hint}")
    return None
