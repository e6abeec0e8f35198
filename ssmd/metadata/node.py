"""What a YAML file holds, and on which lines; plain data, without the parser that made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ssmd.metadata.problem import Path, Problem, dotted

__all__ = ["Document", "Node"]


@dataclass(eq=False)
class Node:
    """One value of the file. An alias puts the same node in a second place, so this is not quite a tree."""

    line: int
    kind: type[dict[str, Any]] | type[list[Any]] | type[str]
    text: str | None = None
    """What a scalar holds: Plain, str or None."""
    children: dict[str | int, tuple[int, Node]] = field(default_factory=dict)
    """By key or position: the line where the entry begins, and its value."""
    height: int = 0
    """How many levels it holds below itself."""
    size: int = 1
    """How many values it stands for, aliases written out."""
    complete: bool = True

    def value(self) -> Any:
        """The data, built anew at each call: no two places share a list, however they were written.

        The recursion is bounded by MAX_DEPTH, which tree.build() has checked with every alias written out.
        """
        if self.kind is dict:
            return {key: child.value() for key, (_, child) in self.children.items()}
        if self.kind is list:
            return [child.value() for _, child in self.children.values()]
        return self.text


@dataclass(frozen=True)
class Document:
    """What one file holds, and on which lines."""

    file: str
    data: dict[str, Any]
    root: Node

    def line(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it when the field itself is not there."""
        node, line = self.root, self.root.line
        for step in path:
            if step not in node.children:
                break
            line, node = node.children[step]
        return line

    def problem(self, path: Path, message: str, warning: bool = False) -> Problem:
        """A problem with the field at this path, with its line."""
        return Problem(self.file, self.line(path), dotted(path), message, warning)
