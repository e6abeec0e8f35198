"""Reads `message_types`, with which feeds for other programs describe their messages, as `paths`.

It names fields and not their paths, so each field is looked for in the places where exchanges have it.
The meaning of its fields: https://github.com/aaronwald/ssmd/tree/main/exchanges/feeds
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ssmd.contracts.exchange import COUNTER
from ssmd.exchange.generic.description import IS, Condition, Match, Paths, Pick, Sequence
from ssmd.exchange.generic.parsing.field import Field, Read, flag, path, shown
from ssmd.exchange.generic.parsing.paths import CHANNEL, CHANNEL_AND_MARKET, CONNECTION
from ssmd.field_path import FieldPath, parse_path
from ssmd.spelling import misspelling

__all__ = ["message_types"]

_TYPES = tuple(map(parse_path, ("event_type", "feed", "channel", "type", "e", "data.e")))
"""Where a message may have its type. Where it has several of these, the first is the one that names the feed."""

_FORMATS = {
    "unix_seconds": "s",
    "epoch_seconds": "s",
    "unix_millis": "ms",
    "epoch_millis": "ms",
    "unix_micros": "us",
    "epoch_micros": "us",
    "unix_nanos": "ns",
    "epoch_nanos": "ns",
    "iso8601": "rfc3339",
    "rfc3339": "rfc3339",
}
_PIPELINE = "pipeline"
"""The time at which a message was received, and so not one of the exchange."""

_SCOPES = {
    "per_connection": CONNECTION,
    "global": CONNECTION,
    "per_channel": CHANNEL,
    "per_market": CHANNEL_AND_MARKET,
    "per_product": CHANNEL_AND_MARKET,
    "per_symbol": CHANNEL_AND_MARKET,
}
_PER_SUBSCRIPTION = "per_subscription"


def message_types(field: Field) -> Paths | None:
    """Read the section: what is known of each type, by its name."""
    if not isinstance(field.value, dict):
        field.report(f"must be a mapping of the types of messages, not {shown(field.value)}")
        return None
    types = {name: found for name in field.value if (found := _one_type(field.at(name))) is not None}
    markets = dict.fromkeys(each for one in types.values() for each in _places(one, "identifier_field"))
    timed = [one for one in types.values() if one.get("timestamp_format") != _PIPELINE]
    times = dict.fromkeys(each for one in timed for each in _places(one, "timestamp_field"))
    formats = {_FORMATS.get(one.get("timestamp_format", ""), "") for one in timed if "timestamp_field" in one}
    return Paths(
        type=Pick(_TYPES) if types else None,
        market=Pick(tuple(markets)) if markets else None,
        time=Pick(tuple(times), format=formats.pop() if len(formats) == 1 else "") if times else None,
        sequences=tuple(sequence for name, one in types.items() for sequence in _sequences(name, one)),
    )


def _one_type(field: Field) -> dict[str, Any] | None:
    if not isinstance(field.value, dict):
        field.report(f"must be a mapping (`key: value` lines), not {shown(field.value)}")
        return None
    known = {name: value for name, value in field.value.items() if name in _FIELDS}
    for name in field.value:
        if name not in _FIELDS:
            hint = misspelling(name, _FIELDS, field.value)
            message = f"is not a field that ssmd knows here{hint}" if hint else "has no effect in this version"
            field.report(message, name, warning=not hint, lenient=not hint)
    found = field._replace(value=known).fields(_FIELDS)
    if found.get("sequenced"):
        _check_sequence(field, found)
    else:
        for name in ("sequence_field", "sequence_scope", "sequence_group_by"):
            if name in found:
                field.report("has no effect without `sequenced: true`", name, warning=True, lenient=True)
    return found


def _check_sequence(field: Field, found: dict[str, Any]) -> None:
    """Report what is missing for a sequence, and forget it."""
    scope = found.get("sequence_scope")
    if "sequence_field" not in found:
        field.report("is required when `sequenced` is true; name the field with the number", "sequence_field")
    elif "sequence_group_by" in found:
        return
    elif scope is None or scope == _PER_SUBSCRIPTION:
        message = "needs `sequence_group_by` beside it: the field that is the same in all messages of one sequence"
        field.report(message, "sequence_scope" if scope else "sequenced")
    elif _SCOPES[scope] == CHANNEL_AND_MARKET and "identifier_field" not in found:
        field.report("needs `identifier_field` beside it: the field with the market", "sequence_scope")
    else:
        return
    del found["sequenced"]


def _word(known: Mapping[str, str], *more: str) -> Read:
    words = (*known, *more)

    def read(field: Field) -> str | None:
        if field.value in words:
            value: str = field.value
            return value
        field.report(f"must be one of {', '.join(words)}, not {shown(field.value)}")
        return None

    return read


_FIELDS: Mapping[str, Read] = {
    "identifier_field": path,
    "timestamp_field": path,
    "timestamp_format": _word(_FORMATS, _PIPELINE),
    "sequenced": flag,
    "sequence_field": path,
    "sequence_scope": _word(_SCOPES, _PER_SUBSCRIPTION),
    "sequence_group_by": path,
    "fanout": flag,
}


def _places(one: Mapping[str, Any], name: str) -> Iterator[FieldPath]:
    """Yield where a message may have a field: at the top, in its payload, or in the first item of a list."""
    found: FieldPath | None = one.get(name)
    if found is None:
        return
    around = ("", "data[0].", "price_changes[0].") if one.get("fanout") else ("", "msg.", "data.")
    for beginning in around:
        yield parse_path(f"{beginning}{found}")


def _sequences(name: str, one: Mapping[str, Any]) -> Iterator[Sequence]:
    if not one.get("sequenced"):
        return
    groups = tuple(_places(one, "sequence_group_by"))
    scope = Pick(groups) if groups else _SCOPES[one["sequence_scope"]]
    when: Match = tuple((Condition(each, IS, name),) for each in _TYPES)
    for number in _places(one, "sequence_field"):
        yield Sequence(COUNTER, number, number, scope, when=when)
