"""What is wrong in a metadata tree, and where: one line for each problem, for a person with an editor open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ssmd.errors import printable

__all__ = ["Path", "Problem", "dotted", "excerpt", "quoted"]

Path = tuple[str | int, ...]
"""The way to a field from the top of its file: ("keys", "kalshi", "fields", 0)."""

_LONGEST = 1000
"""A problem is one line of a log, however long the values in the file are."""
_LONG_AS_A_KEY = 60
_BEGINNING = 12


class Problem(NamedTuple):
    """One thing to correct or, with `warning` set, to look at; the message also says how."""

    file: str
    """The file within the tree, such as `environments/kalshi-dev.yaml`."""
    line: int | None
    field: str
    """The field as `keys.kalshi.fields[0]`; empty for the file as a whole."""
    message: str
    warning: bool = False
    lenient: bool = False
    """A warning with which `validate --strict` passes."""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [place, self.field, self.message] if self.field else [place, self.message]
        return printable(": ".join(parts), _LONGEST)


def excerpt(value: object) -> str:
    """Return a value as text for a message: of a long one only its beginning, as it may be a key in the wrong place."""
    text = str(value)
    return printable(text) if len(text) < _LONG_AS_A_KEY else f"{printable(text[:_BEGINNING])}…"


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as people write it: `keys.kalshi.fields[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{excerpt(step)}" if text else excerpt(step)
    return text


def quoted(names: Iterable[str]) -> str:
    """Return names as a sentence lists them: `a`, `b`."""
    return ", ".join(f"`{excerpt(name)}`" for name in names)
