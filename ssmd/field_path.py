"""The paths of fields in JSON documents, such as `data.trades[0].time`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ssmd.errors import printable

__all__ = ["EVERY", "FieldPath", "Step", "parse_path", "value_at"]

EVERY = "[*]"
"""The step to every item of a list."""

Step = str | int
"""The name of a field, the place in a list, from 0, or EVERY."""

# YAML can name half of a surrogate pair, and no JSON document can hold it.
_STEP = re.compile(r"(?P<name>[^.\[\]\ud800-\udfff]+)|\[(?P<index>[0-9]{1,9})\]|(?P<every>\[\*\])")


class FieldPath(NamedTuple):
    """A place in a JSON document, such as `data.trades[0].time`, or several when a step is EVERY."""

    text: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.text


_MOST_STEPS = 100
"""No exchange nests its messages so deep."""


def parse_path(text: str, *, every: bool = False) -> FieldPath:
    """Return the path of a text such as `a.b[0].c` or `[1][2]`; with `every` also `a[*].b`.

    Raises ValueError, which says what is wrong.
    """
    if instead := _of_another_language(text):
        raise ValueError(f"{printable(text)!r} is not the path of a field{instead}")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        start = at + 1 if steps and text[at] == "." else at
        match = _STEP.match(text, start)
        if match is None or (match["name"] is not None and steps and start == at) or (match["every"] and not every):
            break
        steps.append(int(match["index"]) if match["index"] else match[0])
        at = match.end()
    if len(steps) > _MOST_STEPS:
        raise ValueError(f"{printable(text[:40])!r}... has {len(steps):,} steps; a path has at most {_MOST_STEPS}")
    if not steps or at < len(text):
        raise ValueError(f"{printable(text)!r} is not the path of a field; write it like data.trades[0].time")
    return FieldPath(text, tuple(steps))


def value_at(value: Any, path: FieldPath) -> Any:
    """Return what a decoded JSON document has at a path without `[*]`. Raises LookupError when there is nothing."""
    for step in path.steps:
        if not isinstance(value, dict if isinstance(step, str) else list):
            raise LookupError(path.text)
        value = value[step]  # type: ignore[index]
    return value


def _of_another_language(text: str) -> str:
    """Return the remedy for a placeholder, a JSONPath or a JSON pointer, which would name odd fields."""
    if text.startswith("${"):
        return "; a path has no placeholders, only names of fields"
    if text.startswith(("$.", "$[")) and len(text) > 2:
        return f"; write it without the `$`: {printable(text[1:].lstrip('.'))}"
    if text.startswith("/") and (path := _with_dots(text)):
        return f"; write it with dots: {printable(path)}"
    return "; write it like data.trades[0].time" if text == "$" or text.startswith(("$.", "/")) else ""


def _with_dots(pointer: str) -> str:
    """Return the path that a JSON pointer (RFC 6901) means."""
    steps = [f"[{step}]" if step.isdigit() else f".{step}" for step in pointer.split("/") if step]
    return "".join(steps).lstrip(".")
