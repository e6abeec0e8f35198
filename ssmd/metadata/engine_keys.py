"""Checks the keys that an environment has for the engines of its transport and of its storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ssmd.contracts.configuration import FieldProblem
from ssmd.metadata.keys import STORAGE_KEYS, TRANSPORT_KEYS, KeySpec
from ssmd.metadata.problem import excerpt
from ssmd.spelling import nearest

__all__ = ["KINDS", "engine_key_problems"]


KINDS = {"transport": TRANSPORT_KEYS, "storage": STORAGE_KEYS}
"""By the section that names an engine, the types of keys for such engines."""


def engine_key_problems(
    keys: Mapping[str, KeySpec], section: str, engine: str, credentials: Sequence[Sequence[str]]
) -> Iterator[FieldProblem]:
    """Yield what is wrong with the keys for the engine of a section; paths within `keys`.

    `keys`: by name. `section`: one of KINDS. `engine`: the `type` of that section in the environment. `credentials`:
    the fields that its engine takes, each a way to log in.
    """
    kinds = KINDS[section]
    for name, key in keys.items():
        if key.type in kinds and key.type != engine:
            message = f"has no effect: `{section}.type` is `{excerpt(engine)}`, and only a key of that type is used"
            yield FieldProblem((name, "type"), message, warning=True, lenient=True)
    ours = {name: key for name, key in keys.items() if key.type == engine and key.type in kinds}
    known = [field for way in credentials for field in way]
    wrong = False
    for name, key in ours.items():
        for index, field in enumerate(key.fields):
            if field not in known:
                wrong = True
                what = f"`{excerpt(field)}` is not a field that the {section} `{engine}` uses"
                message = f"{what}{nearest(field, known) or f'; it takes {_ways(credentials)}'}"
                yield FieldProblem((name, "fields", index), message)
    given = {field for key in ours.values() for field in key.fields}
    if ours and not wrong and given not in [set(way) for way in credentials]:
        message = f"are not the fields of one way to log in; the {section} `{engine}` takes {_ways(credentials)}"
        yield FieldProblem((*ours, "fields") if len(ours) == 1 else (), message)


def _ways(credentials: Sequence[Sequence[str]]) -> str:
    return ", or ".join(" and ".join(f"`{field}`" for field in way) for way in credentials)
