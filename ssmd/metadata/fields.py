"""The kinds of field that a metadata file has, and the base of its models.

Everything arrives as text (see document.py); pydantic, in its lax mode, makes numbers and truth values of
it where a field is one. What it would read too generously - a date from a number of seconds, a number that
no timer takes - is narrowed here.

The models are plain dataclasses, so that a process may use what another has validated, without pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from ssmd.metadata.markers import NO_EFFECT, After, Before, Complaint, Within
from ssmd.metadata.problem import Path, excerpt
from ssmd.metadata.scalars import freeform
from ssmd.spelling import misspelling
from ssmd.store.layout import RESERVED_ENDINGS

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "NAME",
    "Amount",
    "Day",
    "Fault",
    "FaultsError",
    "Filled",
    "Freeform",
    "Model",
    "Name",
    "Prose",
    "Seconds",
    "Sections",
    "Text",
    "unknown_keys",
    "without_effect",
]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What may name a file of the tree, and so part of an output file: nothing that leads out of a folder."""

Fault = tuple[Path, str]
"""Where in a model, and what is wrong there."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WEEK = 7 * 24 * 3600


class FaultsError(ValueError):
    """Fields that do not go together."""

    def __init__(self, found: list[Fault]) -> None:
        super().__init__("; ".join(message for _, message in found))
        self.found = found


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise Complaint(
            f"`{excerpt(text)}` is no name: use letters, digits, `.`, `_` and `-`, "
            "beginning with a letter or a digit, 100 at most"
        )
    return text


def _feed_name(text: str) -> str:
    for ending in RESERVED_ENDINGS:
        if text.endswith(ending):
            raise Complaint(
                f"`{excerpt(text)}` ends in `{ending}`, and its files could have the names of another feed's; "
                "choose another name"
            )
    return text


def _text(text: str) -> str:
    text = text.strip()
    if not text:
        raise Complaint("is blank; give it a value")
    if _CONTROL.search(text):
        # The value is not shown: a key that was pasted where its source belongs has line breaks.
        raise Complaint("holds a line break or another control character; write it on one line")
    return text


def _day(value: Any) -> Any:
    if isinstance(value, str):
        if not _DAY.fullmatch(value.strip()):
            raise Complaint(f"must be a date such as 2025-12-22, not `{excerpt(value)}`")
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise Complaint(f"`{value.strip()}` is not a day of the calendar") from None
    return value


def _filled(value: Any) -> Any:
    # pydantic's min_length would count the entries that are right, and call a list of one wrong entry empty.
    if value == []:
        raise Complaint("is an empty list; add at least one entry")
    return value


Filled = Before(_filled)
"""For a list that must have an entry."""
Name = Annotated[str, After(_name)]
FeedName = Annotated[Name, After(_feed_name)]
"""The name of a feed, and of its files in the archive."""
Text = Annotated[str, After(_text)]
Prose = str
"""For people: any text, over several lines if need be."""
Day = Annotated[date, Before(_day)]
Seconds = Annotated[float, Within(gt=0, le=_WEEK)]
"""A span of time. A week at most: beyond some size, timers overflow instead of waiting."""
Amount = Annotated[float, Within(gt=0)]
Freeform = Annotated[dict[str, Any], Before(freeform)]
"""A section that ssmd hands on as it is."""


class Model:
    """The base of the models, frozen dataclasses."""

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with the fields together, each fault with its path within this model."""
        return iter(())

    def without_effect(self) -> Iterator[Fault]:
        """Yield what is given here and has no effect in this version; by default, the fields marked NO_EFFECT."""
        for name, annotation in get_type_hints(type(self), include_extras=True).items():
            if NO_EFFECT in getattr(annotation, "__metadata__", ()) and getattr(self, name) is not None:
                yield (name,), "has no effect in this version"

    @classmethod
    @cache
    def keys_known(cls) -> dict[str, Any]:
        """The keys that a file may use here, each with the type of its field."""
        return get_type_hints(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        inner = core_schema.no_info_before_validator_function(cls._without_empty, handler(source))
        return core_schema.no_info_after_validator_function(cls._without_faults, inner)

    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        """What is left empty counts as left out."""
        if not isinstance(data, dict):
            return data
        known = cls.keys_known()
        return {key: value for key, value in data.items() if not (key in known and value in (None, ""))}

    def _without_faults(self) -> Model:
        if found := list(self.faults()):
            raise FaultsError(found)
        return self


Sections = Mapping[Path, "type[Model] | None"]
"""By its path, the model with which a part extends a section of a file; None for a part that there is not, whose keys
nobody knows."""


def unknown_keys(
    model: type[Model], data: Any, sections: Sections, at: Path = ()
) -> Iterator[tuple[Path, str]]:
    """Yield the path of every key that no model knows, with `; did you mean ...?` when it is a known one misspelt.

    This walks the data beside the models instead of asking pydantic, so that a typo is found even where the same
    section has errors.
    """
    if not isinstance(data, dict):
        return
    known = model.keys_known()
    if at in sections:
        part = sections[at]
        if part is None:
            return
        known = known | part.keys_known()
    for key, value in data.items():
        if key not in known:
            yield (*at, key), misspelling(key, known, data)
        elif inner := _model_within(known[key]):
            for path, item in _items(known[key], value, (*at, key)):
                yield from unknown_keys(inner, item, sections, path)


def _items(annotation: Any, value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the path and the data of every model in a field of this type."""
    if get_origin(annotation) is tuple and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield (*at, index), item
    elif get_origin(annotation) is dict and isinstance(value, dict):
        for key, item in value.items():
            yield (*at, key), item
    else:
        yield at, value


def without_effect(model: Model, at: Path = ()) -> Iterator[Fault]:
    """Yield what has no effect in a model and in all models inside it, with its path."""
    for path, message in model.without_effect():
        yield (*at, *path), message
    for name, annotation in model.keys_known().items():
        if _model_within(annotation):
            for path, item in _items(annotation, getattr(model, name), (*at, name)):
                if isinstance(item, Model):
                    yield from without_effect(item, path)


def _model_within(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(_model_within, get_args(annotation))), None)
