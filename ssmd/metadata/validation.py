"""A document held against a model: everything that is wrong, in plain words, or the model's instance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ssmd.metadata.document import Document
from ssmd.metadata.fields import Fault, FaultsError, Model, unknown_keys
from ssmd.metadata.markers import Complaint
from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.problem import Path, Problem, excerpt, nearest
from ssmd.metadata.versions import Versioned, timeline_faults

__all__ = ["validate"]

M = TypeVar("M", bound=Model)

# More of one kind in one file helps nobody, and makes comparing names to guess what was meant take minutes.
_MOST = 100
_SHORT = 16

# By what pydantic's types of error begin with; {} is what was found there.
_PLAIN_WORDS = (
    ("missing", "is required; add it"),
    ("dict_", "must be a mapping (`key: value` lines), not {}"),
    ("dataclass_", "must be a mapping (`key: value` lines), not {}"),
    ("tuple_", "must be a list (`- ` lines), not {}"),
    ("string_", "must be text, not {}"),
    ("bool_", "must be true or false, not {}"),
    ("int_", "must be a whole number, not {}"),
    ("float_", "must be a number, not {}"),
    ("finite_", "must be a finite number, not {}"),
    ("date_", "must be a date such as 2025-12-22, not {}"),
)
_VERSIONS: dict[type[Model], type[Versioned]] = {Feed: FeedVersion, Schema: SchemaVersion}
_MODELS: tuple[type[Model], ...] = (Environment, Feed, FeedVersion, Schema, SchemaVersion)
_ADAPTERS: dict[type[Model], TypeAdapter[Any]] = {model: TypeAdapter(model) for model in _MODELS}
_BOUNDS = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}


def validate(document: Document, model: type[M]) -> tuple[M | None, list[Problem]]:
    """The model's instance, None when the document has errors; and every problem found, in the order of lines."""
    problems = [
        document.problem(path, f"ssmd does not know this key{nearest(str(path[-1]), known)}", warning=True)
        for path, known in islice(unknown_keys(model, document.data), _MOST)
    ]
    instance: M | None = None
    try:
        instance = _ADAPTERS[model].validate_python(document.data)
    except ValidationError as error:
        faults = [fault for details in error.errors(include_url=False) for fault in _faults(details)]
        faults = list(dict.fromkeys([*faults, *_between_versions(document.data, model)]))
        problems += [document.problem(path, message) for path, message in faults[:_MOST]]
        if len(faults) > _MOST:
            problems.append(document.problem((), f"has {len(faults)} errors; only the first {_MOST} are shown"))
    return instance, sorted(problems, key=lambda problem: problem.line or 0)


def _faults(details: ErrorDetails) -> Iterator[Fault]:
    path: Path = details["loc"]
    if path and path[-1] == "[key]":
        path = path[:-1]
    raised = details.get("ctx", {}).get("error")
    if isinstance(raised, FaultsError):
        for inner, message in raised.found:
            yield (*path, *inner), message
    elif isinstance(raised, Complaint):
        yield path, str(raised)
    else:
        yield path, _message(details)


def _message(details: ErrorDetails) -> str:
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    shown = _shown(found)
    if details["loc"][:1] == ("keys",) and len(shown) > _SHORT:
        shown = "this"  # What stands among the keys in place of something else may be one itself.
    if kind == "literal_error":
        choices = re.findall("'([^']*)'", context["expected"])
        guess = nearest(found, choices) if isinstance(found, str) else ""
        return f"must be one of {', '.join(choices)}, not {shown}{guess}"
    for name, words in _BOUNDS.items():
        if name in context:
            return f"must be {words.format(f'{context[name]:g}')}, not {shown}"
    for beginning, words in _PLAIN_WORDS:
        if kind.startswith(beginning):
            return words.format(shown)
    return details["msg"]


def _shown(found: Any) -> str:
    if found is None:
        return "nothing"
    if isinstance(found, dict):
        return "a mapping"
    return "a list" if isinstance(found, list) else f"`{excerpt(found)}`"


def _between_versions(data: dict[str, Any], model: type[Model]) -> Iterator[Fault]:
    """What is wrong among the versions that load, when something else in the file does not.

    pydantic asks a model for its faults only once every field of it is good, and a tree's errors are to be
    reported all at once.
    """
    kind = _VERSIONS.get(model)
    versions = data.get("versions")
    if kind is None or not isinstance(versions, list):
        return
    loaded = {}
    for index, item in enumerate(versions):
        with suppress(ValidationError):
            loaded[index] = _ADAPTERS[kind].validate_python(item)
    if model is Feed:
        yield from Feed.version_faults(str(data.get("type")), loaded)
    else:
        yield from timeline_faults(loaded)
