"""Reads the definitions of a tree's schemas, to find out whether messages can be checked against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ssmd.errors import ConfigError
from ssmd.metadata.named_schema import definitions_in
from ssmd.metadata.problem import Problem
from ssmd.schema.check import make_checker
from ssmd.schema.definition import Definition, json_schema_of, missing_library

__all__ = ["definition_problems"]


def definition_problems(config_dir: Path, files: Iterable[str]) -> Iterator[Problem]:
    """Yield a warning for each definition that no message can be checked against. `files`: those of sound schemas, such
    as schemas/kalshi.yaml.

    They are no errors: a run that checks no messages does not read the definition.
    """
    for file in files:
        for at, definition in definitions_in(config_dir, PurePosixPath(file).stem):
            if (problem := _problem(definition)) is not None:
                message, lenient = problem
                yield Problem(file, None, at, message, warning=True, lenient=lenient)


def _problem(definition: Definition) -> tuple[str, bool] | None:
    """Return why a definition cannot be used, and whether that is only because a library is not installed here."""
    if (missing := missing_library(definition)) is not None:
        return f"is not read, because {missing}", True
    try:
        make_checker(json_schema_of(definition), definition.name)
    except ConfigError as error:
        return str(error), False
    return None
