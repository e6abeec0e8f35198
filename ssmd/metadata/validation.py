"""Compares a document with a model, and reports everything that is wrong in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ssmd.metadata.document import Document
from ssmd.metadata.fields import Fault, FaultsError, Model
from ssmd.metadata.known_keys import Sections, unknown_keys, without_effect
from ssmd.metadata.markers import Complaint
from ssmd.metadata.model import Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.problem import Path, Problem, excerpt
from ssmd.metadata.versions import Versioned, timeline_faults
from ssmd.spelling import nearest

__all__ = ["Validated", "loaded", "validate"]

M = TypeVar("M", bound=Model)

_MOST = 100
"""How many problems of one kind are reported for a file."""
_SHORT = 16
"""A text of more letters, found where a key's fields or source should be, may be the key itself."""

# By the beginning of pydantic's type of an error; {} is the value that was found.
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
    """The outcome of validate()."""

    instance: Any
    """The model's instance; None when the document has errors."""
    sections: Mapping[Path, Model]
    """By the path of each section that a part extends, the instance of the part's own model. Sections with errors are
    left out."""
    problems: list[Problem]
    """In the order of lines."""


def validate(document: Document, model: type[M], sections: Sections) -> Validated:
    """Compare a document with a model, and its sections with the models that the parts declare for them."""
    problems = _unknown(document, model, sections)
    instance, faults = _instance(model, document.data)
    faults += _between_versions(document.data, model) if faults else []
    configured, more = _configured(document, sections)
    faults = list(dict.fromkeys(faults + more))
    problems += [document.problem(path, message) for path, message in faults[:_MOST]]
    if len(faults) > _MOST:
        problems.append(document.problem((), f"has {len(faults)} errors; only the first {_MOST} are shown"))
    wrong = {path for path, _ in faults}
    ineffective = (fault for fault in _ineffective(document, model, sections) if fault[0] not in wrong)
    problems += [document.problem(*fault, warning=True, lenient=True) for fault in islice(ineffective, _MOST)]
    problems.sort(key=lambda problem: problem.line or 0)
    return Validated(None if faults else instance, configured, problems)


def _configured(document: Document, sections: Sections) -> tuple[dict[Path, Model], list[Fault]]:
    """Return the parts' own configuration by the path of its section, and every fault in it."""
    configured: dict[Path, Model] = {}
    faults: list[Fault] = []
    for path, model in sections.items():
        if model is not None and isinstance(data := _data_at(document.data, path), dict):
            instance, found = _instance(model, data)
            faults += [((*path, *inner), message) for inner, message in found]
            if instance is not None:
                configured[path] = instance
    return configured, faults


def _unknown(document: Document, model: type[Model], sections: Sections) -> list[Problem]:
    """Return the unknown keys. A misspelt or misplaced one is an error, because what it says would be left out.

    Others are warnings. However many there are of the one, they hide none of the other.
    """
    errors: list[Problem] = []
    warnings: list[Problem] = []
    for path, hint in unknown_keys(model, document.data, sections):
        found = errors if hint else warnings
        if len(found) < _MOST:
            found.append(document.problem(path, f"ssmd does not know this key{hint}", warning=not hint))
    return errors + warnings


def _ineffective(document: Document, model: type[Model], sections: Sections) -> Iterator[Fault]:
    """Yield the fields that have no effect, except for those that the part of their section declares as its own."""
    for path, message in without_effect(model, document.data):
        section = path[:-1]
        part = sections.get(section)
        # Nobody knows which fields act for a part that there is not; that it is not there is an error of its own.
        if section not in sections or (part is not None and path[-1] not in part.keys_known()):
            yield path, message


def _data_at(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    if annotation not in _ADAPTERS:
        _ADAPTERS[annotation] = TypeAdapter(annotation)
    return _ADAPTERS[annotation]


def loaded(annotation: Any, data: Any) -> Any:
    """Return the value of one field, given its type and its data; None when it is not valid.

    This is for a file with other errors: its valid fields are checked all the same.
    """
    with suppress(ValidationError):
        return _adapter(annotation).validate_python(data)
    return None


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
        shown = "this"
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
    """Return what is wrong among the versions that load, for a file with other errors.

    pydantic asks a model for its faults only when all its fields are valid, but all errors are to be reported at once.
    """
    kind = _VERSIONS.get(model)
    versions = data.get("versions")
    if kind is None or not isinstance(versions, list):
        return []
    valid = {index: version for index, item in enumerate(versions) if (version := loaded(kind, item)) is not None}
    return list(timeline_faults(valid))
