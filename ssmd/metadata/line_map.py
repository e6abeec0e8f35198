"""The line of each field of a file."""

from __future__ import annotations

from dataclasses import dataclass

from ssmd.metadata.problem import Path, Problem, dotted

__all__ = ["NOTHING", "Entries", "LineMap"]

Entries = dict[str | int, tuple[int, "Entries"]]
"""The contents of a mapping or a list, by key or position: the line where the entry begins, and its own entries."""

NOTHING: Entries = {}
"""The entries of every value that has none. They share one mapping, because there may be many."""


@dataclass(frozen=True)
class LineMap:
    """The lines of one file."""

    file: str
    """Its name in the tree, such as `feeds/kalshi.yaml`."""
    start: int
    """The line where the content begins."""
    entries: Entries

    def line(self, path: Path) -> int:
        """Return the line of a field. If the file does not have the field: of the innermost thing around it."""
        entries, line = self.entries, self.start
        for step in path:
            if step not in entries:
                break
            line, entries = entries[step]
        return line

    def problem(self, path: Path, message: str, warning: bool = False, lenient: bool = False) -> Problem:
        """Return a problem with the field at this path, with its line."""
        return Problem(self.file, self.line(path), dotted(path), message, warning, lenient)
