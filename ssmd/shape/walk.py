"""Finds the fields of one message, each with the kinds of its values. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from ssmd.shape.kinds import kind_of
from ssmd.shape.paths import ITEM, VALUE, Path

__all__ = ["DEEPEST", "MOST_KEYS", "Found", "found_in"]

DEEPEST = 16
"""How many steps lead to a field at most; what lies deeper is in no shape."""

MOST_KEYS = 64
"""An object in which more keys were seen has data for keys, such as markets: its values then have one path together."""

Found = dict[Path, dict[str, int]]
"""By path: how many values of each kind one message has there."""

_decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode


def found_in(payload: bytes, maps: Collection[Path] = ()) -> Found | None:
    """Return the fields of a message, None when it is no JSON. `maps`: where objects have data for keys."""
    try:
        value = _decoded(payload)
    except (ValueError, RecursionError):
        return None
    found: Found = {}
    _walk((), value, found, maps)
    return found


def _decoded(payload: bytes) -> Any:
    try:
        return _decode(payload)
    except msgspec.ValidationError:  # A number that no float can hold. Python's json makes an infinite one of it.
        _check_syntax(payload)  # Python's json also reads half surrogate pairs, which no file can hold, and NaN.
        return json.loads(payload.decode())


def _walk(path: Path, value: Any, found: Found, maps: Collection[Path]) -> None:
    kinds = found.get(path)
    if kinds is None:
        kinds = found[path] = {}
    kind = kind_of(value)
    kinds[kind] = kinds.get(kind, 0) + 1
    if len(path) == DEEPEST:
        return
    if isinstance(value, dict):
        is_map = len(value) > MOST_KEYS or path in maps
        for key, member in value.items():
            _walk((*path, VALUE if is_map else key), member, found, maps)
    elif isinstance(value, list):
        inside = (*path, ITEM)
        for item in value:
            _walk(inside, item, found, maps)
