"""What a part reports about its own section of the metadata."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FieldProblem"]


class FieldProblem(NamedTuple):
    """A problem in a section of the metadata that only a part understands."""

    path: tuple[str | int, ...]
    """The field, counted from the section's own root: ("messages", 0)."""
    message: str
    """What is wrong and what to do; it is printed after the name of the field."""
    warning: bool = False
    lenient: bool = False
    """A warning with which `validate --strict` passes: the field has no effect in this version, or it may be right."""
