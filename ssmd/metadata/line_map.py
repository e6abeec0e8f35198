"""On which lines of a file its fields stand."""

from __future__ import annotations

from dataclasses import dataclass

from ssmd.metadata.problem import Path, Problem, dotted

__all__ = ["NOTHING", "Entries", "LineMap"]

Entries = dict[str | int, tuple[int, "Entries"]]
"""What a mapping or a list holds, by key or position: the line where the entry begins, and its own entries."""

NOTHING: Entries = {}
"""The entries of all that has none: one for all, because there may be many."""


@dataclass(frozen=True)
class LineMap:
    """The lines of one file."""

    file: str
    start: int
    """The line where the content begins."""
    entries: Entries

    def line(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it when the field itself is not there."""
        entries, line = self.entries, self.start
        for step in path:
            if step not in entries:
                break
            line, entries = entries[step]
        return line

    def problem(self, path: Path, message: str, warning: bool = False, lenient: bool = False) -> Problem:
        """Return a problem with the field at this path, with its line."""
        return Problem(self.file, self.line(path), dotted(path), message, warning, lenient)
