"""Versions of a feed or a schema, each in force from one day to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from ssmd.errors import printable
from ssmd.metadata.fields import Day, Fault, Model, Text

__all__ = ["Versioned", "latest", "timeline_faults"]


@dataclass(frozen=True, kw_only=True)
class Versioned(Model):
    """The base of a version."""

    version: Text
    effective_from: Day
    effective_to: Day | None = None
    """The last day; None for a version without an end."""

    def faults(self) -> Iterator[Fault]:
        if self.effective_to is not None and self.effective_to < self.effective_from:
            yield (
                ("effective_to",),
                f"{self.effective_to} is before effective_from ({self.effective_from}); correct one of the two",
            )

    def in_force(self, day: date) -> bool:
        """Return whether the day lies within the version's dates, both included."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)

    def span(self) -> str:
        """Return the version and its dates, for a message."""
        until = f" to {self.effective_to}" if self.effective_to else ""
        return f"{printable(self.version, 40)} from {self.effective_from}{until}"


def timeline_faults(versions: Mapping[int, Versioned]) -> Iterator[Fault]:
    """Yield each label and each first day that two versions share, so that it would not be clear which one is meant.

    `versions`: by position in the file. Those that do not load may be left out.
    """
    labels: dict[str, int] = {}
    days: dict[date, int] = {}
    for index, version in versions.items():
        if (first := labels.setdefault(version.version, index)) != index:
            yield (
                ("versions", index, "version"),
                f"`{printable(version.version, 40)}` is already versions[{first}]; give each version its own label",
            )
        if (first := days.setdefault(version.effective_from, index)) != index:
            yield (
                ("versions", index, "effective_from"),
                f"{version.effective_from} is also when versions[{first}] begins; give each version its own first day",
            )


V = TypeVar("V", bound=Versioned)


def latest(versions: Sequence[V]) -> V | None:
    """Return the version that began last, None when there is no version."""
    return max(versions, key=lambda version: version.effective_from, default=None)
