"""How an export names and makes its files: the layouts that --layout knows."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from ssmd.store.layout import DayFile
from ssmd.tables.export.lines import DayLines
from ssmd.tables.export.receipt import Made

__all__ = ["Layout"]


class Layout(Protocol):
    """One layout. It can be pickled."""

    name: str
    """In the names of its receipts, so that several layouts can share a target."""
    divisible: bool
    """Whether each type of message has files of its own, so that types can be added to an exported day."""

    def prefix(self, feed: str) -> str:
        """Return how the names of all files of a feed begin; it ends in `/`."""

    def is_of(self, name: str, file: DayFile) -> bool:
        """Return whether a name that begins with prefix() is one of a day's."""

    def make(self, lines: DayLines, work: Path, types: Collection[str] | None) -> list[Made]:
        """Write and sync the files of a day below `work`, and return them.

        `types`: only messages of these types; None for all. Raises what `lines` raises, and OutputError, WriteError.
        """
