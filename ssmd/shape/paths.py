"""The paths of fields in messages, such as `msg.yes_dollars_fp[][]`. Pure.

`[]` stands for every item of an array, `{}` for every value of an object with so many keys that these are data. In a
name, each of the characters `.`, `[`, `]`, `{`, `}` and `\\` has a `\\` before it; an empty name is `\\e`.
"""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["ITEM", "VALUE", "Path", "Step", "parent", "path_of", "text_of"]


class Step(Enum):
    """A step that is no name."""

    ITEM = "[]"
    """To every item of an array."""
    VALUE = "{}"
    """To every value of an object."""


ITEM, VALUE = Step.ITEM, Step.VALUE

Path = tuple[str | Step, ...]
"""The steps from the message to a field; empty for the message itself."""

_SPECIAL = re.compile(r"[.\[\]{}\\]")
_STEP = re.compile(r"(?P<step>\[\]|\{\})|\.?(?P<name>(?:\\.|[^.\[\]{}\\])+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_EMPTY = "\\e"


def text_of(path: Path) -> str:
    """Return a path as text; it is empty for the message itself."""
    parts = []
    for step in path:
        if isinstance(step, Step):
            parts.append(step.value)
        else:
            parts.append(("." if parts else "") + (_SPECIAL.sub(r"\\\g<0>", step) or _EMPTY))
    return "".join(parts)


def path_of(text: str) -> Path:
    """Return the path that text_of() has made a text of. Raises ValueError."""
    steps: list[str | Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"has {text!r}, which is not the path of a field")
        at = match.end()
        if match["step"]:
            steps.append(Step(match["step"]))
        else:
            steps.append("" if match["name"] == _EMPTY else _ESCAPE.sub(r"\1", match["name"]))
    return tuple(steps)


def parent(path: Path) -> Path:
    """Return the path of what a field is in."""
    return path[:-1]
