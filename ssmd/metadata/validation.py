"""A document compared with a model: everything that is wrong, in plain words, or the model's instance."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ssmd.metadata.document import Document
from ssmd.metadata.fields import Fault, FaultsError, Model, Sections, unknown_keys, without_effect
from ssmd.metadata.markers import Complaint
from ssmd.metadata.model import Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.problem import Path, Problem, excerpt
from ssmd.metadata.versions import Versioned, timeline_faults
from ssmd.spelling import nearest

__all__ = ["Validated", "validate"]

M = TypeVar("M", bound=Model)

# More of one kind in one file helps nobody, and comparing so many names to guess what was meant would take minutes.
_MOST = 100
_SHORT = 16

# By the beginning of pydantic's type of an error; {} is what was found there.
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
_BOUNDS = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}


class Validated(NamedTuple):
    """What became of a document."""

    instance: Any
    """The model's instance; None when the document has errors."""
    parts: Mapping[Path, Model]
    """By the path of each section that a part extends, the instance of the part's own model; without those that have
    errors."""
    problems: list[Problem]
    """Every problem found, in the order of lines."""


def validate(document: Document, model: type[M], sections: Sections) -> Validated:
    """Compare a document with a model, and its sections with the models that the parts declare for them."""
    problems = list(_unknown(document, model, sections))
    instance, faults = _instance(model, document.data)
    faults += _between_versions(document.data, model) if faults else []
    parts: dict[Path, Model] = {}
    for path, part in sections.items():
        if part is not None and isinstance(data := _data_at(document.data, path), dict):
            found, wrong = _instance(part, data)
            faults += [((*path, *inner), message) for inner, message in wrong]
            if found is not None:
                parts[path] = found
    faults = list(dict.fromkeys(faults))
    problems += [document.problem(path, message) for path, message in faults[:_MOST]]
    if len(faults) > _MOST:
        problems.append(document.problem((), f"has {len(faults)} errors; only the first {_MOST} are shown"))
    if instance is not None:
        problems += islice(_ineffective(document, instance, sections), _MOST)
    return Validated(
        None if faults else instance, parts, sorted(problems, key=lambda problem: problem.line or 0)
    )


def _unknown(document: Document, model: type[Model], sections: Sections) -> Iterator[Problem]:
    """A misspelt key is an error, or what it says would be left out in silence. Any other may be another program's."""
    for path, hint in islice(unknown_keys(model, document.data, sections), _MOST):
        yield document.problem(path, f"ssmd does not know this key{hint}", warning=not hint)


def _ineffective(document: Document, instance: Model, sections: Sections) -> Iterator[Problem]:
    for path, message in without_effect(instance):
        part = sections.get(path[:-1])
        if part is None or path[-1] not in part.keys_known():
            yield document.problem(path, message, warning=True, lenient=True)


def _data_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


_ADAPTERS: dict[type[Model], TypeAdapter[Any]] = {}


def _adapter(model: type[Model]) -> TypeAdapter[Any]:
    if model not in _ADAPTERS:
        _ADAPTERS[model] = TypeAdapter(model)
    return _ADAPTERS[model]


def _instance(model: type[M], data: Any) -> tuple[M | None, list[Fault]]:
    """Return an instance of the model, or None and every fault."""
    try:
        return _adapter(model).validate_python(data), []
    except ValidationError as error:
        return None, [fault for details in error.errors(include_url=False) for fault in _faults(details)]


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
        shown = "this"  # What is written among the keys in place of something else may be a key itself.
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


def _between_versions(data: Any, model: type[Model]) -> list[Fault]:
    """Return what is wrong among the versions that load, when something else in the file does not.

    pydantic asks a model for its faults only when every field of it is good, and all errors of a tree are to be
    reported at once.
    """
    kind = _VERSIONS.get(model)
    versions = data.get("versions")
    if kind is None or not isinstance(versions, list):
        return []
    loaded = {}
    for index, item in enumerate(versions):
        with suppress(ValidationError):
            loaded[index] = _adapter(kind).validate_python(item)
    return list(timeline_faults(loaded))
