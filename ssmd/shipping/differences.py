"""The differences between an engine's copy and what is recorded. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["CHANGED", "DOUBLED", "FOREIGN", "KINDS", "MISNAMED", "MISSING", "MOVED", "Compared", "Difference", "Key"]

KINDS = ("missing", "doubled", "changed", "misnamed", "out of order", "not recorded")
MISSING, DOUBLED, CHANGED, MISNAMED, MOVED, FOREIGN = KINDS
"""What may be wrong with a message of the copy."""

_MOST_KEPT = 1000

Key = tuple[str, int]
"""A recorded line: its day, and its number in the day, from 1."""


class Difference(NamedTuple):
    """A message that is not as it should be, or several in a row that are missing."""

    day: str
    line: int
    last: int
    """The last line, where it is about several; otherwise `line`."""
    kind: str
    where: str
    """Where the engine has it; empty for one that is missing."""


@dataclass
class Compared:
    """The result of a comparison."""

    messages: int = 0
    """How many the copy has, right or wrong."""
    older: int = 0
    """How many of them are of days that are no longer here, so that they could not be compared."""
    first: Key | None = None
    last: Key | None = None
    """The first and the last recorded line that was compared; None when there was none."""
    rest: Key | None = None
    """The first recorded line that the engine need not have yet; None when there was none."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    """By kind, how many messages."""
    differences: list[Difference] = field(default_factory=list)
    """In the order of the lines; the first 1,000 of each kind."""
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def is_ok(self) -> bool:
        return not any(self.counts.values())

    def add(self, kind: str, key: Key, where: str, last: int | None = None) -> None:
        """Note a difference; `last`: the last of several lines in a row."""
        difference = Difference(*key, key[1] if last is None else last, kind, where)
        self.counts[kind] += difference.last - difference.line + 1
        self.kept[kind] += 1
        if self.kept[kind] <= _MOST_KEPT:
            self.differences.append(difference)

    def is_foreign(self, key: Key) -> None:
        """Note that the message which was taken for a changed one is not recorded: the line itself came after it."""
        self.counts[CHANGED] -= 1
        self.counts[FOREIGN] += 1
        self.differences = [
            one._replace(kind=FOREIGN) if (one.kind, one.day, one.line) == (CHANGED, *key) else one
            for one in self.differences
        ]
