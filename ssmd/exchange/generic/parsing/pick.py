"""Reads a pick: where a message has a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from ssmd.exchange.generic.description import Pick
from ssmd.exchange.generic.parsing.field import Field, Read, choice, entries, shown, some_path, text
from ssmd.exchange.generic.time import FORMATS
from ssmd.field_path import FieldPath

__all__ = ["pick"]

_LARGEST_PART = 100


def pick(*, every: bool = False, time: bool = False) -> Read:
    """Return what reads a path, a mapping with `path` and more, or a list of such, of which the first counts that a
    message has.

    `every`: the paths may have `[*]`. `time`: the value is a time, and may have a format; a list has paths only.
    """
    one = _one(every, time)

    def read_any(field: Field) -> Pick | None:
        if time or not isinstance(field.value, list) or not any(isinstance(entry, dict) for entry in field.value):
            return one(field)
        read = [one(entry) for entry in entries(field, "paths")]
        picks = [pick for pick in reversed(read) if pick is not None]
        return reduce(lambda rest, pick: pick._replace(otherwise=rest), picks) if len(picks) == len(read) else None

    return read_any


def _one(every: bool, time: bool) -> Callable[[Field], Pick | None]:
    paths = _paths(every, time)
    more: Mapping[str, Read] = {"format": choice(*FORMATS)} if time else {"split": text, "part": _part}

    def read(field: Field) -> Pick | None:
        if not isinstance(field.value, dict):
            found = paths(field)
            return None if found is None else Pick(found)
        fields = field.mapping({"path": paths, **more}, ["path"])
        if fields is None:
            return None
        for one, other in (("split", "part"), ("part", "split")):
            if one in fields and other not in fields:
                field.report(_ALONE[one], one)
                return None
        return Pick(fields.pop("path"), **fields)

    return read


_ALONE = {
    "split": "needs `part` beside it: which part of the text is meant, 1 for the first or -1 for the last",
    "part": "needs `split` beside it: the text that separates the parts",
}


def _paths(every: bool, time: bool) -> Read:
    one = some_path(every)

    def read(field: Field) -> tuple[FieldPath, ...] | None:
        if not isinstance(field.value, list):
            found = one(field)
            return None if found is None else (found,)
        if time and any(isinstance(entry, dict) for entry in field.value):
            field.report("must be a list of paths only; write `{path: [a, b], format: ms}` for one format of all")
            return None
        paths = [one(entry) for entry in entries(field, "paths")]
        return tuple(path for path in paths if path is not None) if paths and None not in paths else None

    return read


def _part(field: Field) -> int | None:
    value: Any = field.value
    if isinstance(value, int) and not isinstance(value, bool) and 0 < abs(value) <= _LARGEST_PART:
        return value
    field.report(f"must be 1 for the first part, 2 for the second and so on, or -1 for the last, not {shown(value)}")
    return None
