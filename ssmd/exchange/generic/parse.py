"""Reads a feed's `dialect` section: into a Description, or into a list of what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.exchange.generic.description import EMPTY, Description

__all__ = ["parse", "problems_of"]


def parse(section: Mapping[str, Any]) -> Description:
    """Return the description; what is wrong in the section is left out."""
    return EMPTY


def problems_of(section: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report what is wrong in the section, each problem with its path within it."""
    return iter(())
