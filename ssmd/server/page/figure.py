"""A number of the page, with its name. Plain data."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Figure"]


class Figure(NamedTuple):
    """A number with its name."""

    name: str
    value: str
    grade: str = ""
    note: str = ""
    """What it means, in a few words."""
