"""Checks the keys that an environment has for the engine of its transport."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ssmd.contracts.configuration import FieldProblem
from ssmd.metadata.keys import ENGINE_KEYS, KeySpec
from ssmd.metadata.problem import excerpt
from ssmd.spelling import nearest

__all__ = ["engine_key_problems"]


def engine_key_problems(
    keys: Mapping[str, KeySpec], transport: str, credentials: Sequence[Sequence[str]]
) -> Iterator[FieldProblem]:
    """Yield what is wrong with the keys of engines; paths within `keys`.

    `keys`: by name. `transport`: the environment's `transport.type`. `credentials`: the fields that its engine takes,
    each a way to log in.
    """
    for name, key in keys.items():
        if key.type in ENGINE_KEYS and key.type != transport:
            message = f"has no effect: `transport.type` is `{excerpt(transport)}`, and only a key of that type is used"
            yield FieldProblem((name, "type"), message, warning=True, lenient=True)
    ours = {name: key for name, key in keys.items() if key.type == transport and key.type in ENGINE_KEYS}
    known = [field for way in credentials for field in way]
    wrong = False
    for name, key in ours.items():
        for index, field in enumerate(key.fields):
            if field not in known:
                wrong = True
                what = f"`{excerpt(field)}` is not a field that the transport `{transport}` uses"
                message = f"{what}{nearest(field, known) or f'; it takes {_ways(credentials)}'}"
                yield FieldProblem((name, "fields", index), message)
    given = {field for key in ours.values() for field in key.fields}
    if ours and not wrong and given not in [set(way) for way in credentials]:
        message = f"are not the fields of one way to log in; the transport `{transport}` takes {_ways(credentials)}"
        yield FieldProblem((*ours, "fields") if len(ours) == 1 else (), message)


def _ways(credentials: Sequence[Sequence[str]]) -> str:
    return ", or ".join(" and ".join(f"`{field}`" for field in way) for way in credentials)
