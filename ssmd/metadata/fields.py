"""The types of the metadata's fields, and the base of its models.

Every value arrives as text (see document.py). pydantic, in its lax mode, makes numbers and truth values of it where a
field is one. What it would accept too generously is narrowed here: a date written as a number of seconds, a number that
no timer takes.

The models are plain dataclasses, so that a process can use what another one has validated, without pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from ssmd.metadata.markers import NO_EFFECT, After, Before, Complaint, Within
from ssmd.metadata.problem import Path, excerpt
from ssmd.metadata.scalars import freeform
from ssmd.store.layout import LISTING, RESERVED_ENDINGS

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = [
    "NAME",
    "WEEK",
    "Amount",
    "Day",
    "Fault",
    "FaultsError",
    "FeedName",
    "Filled",
    "Freeform",
    "Model",
    "Name",
    "Prose",
    "Seconds",
    "Subscribe",
    "Text",
]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""The name of a file of the tree, and so part of the names of output files: it cannot lead out of a folder."""

Fault = tuple[Path, str]
"""The path of a field within a model, and what is wrong there."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
WEEK = 7 * 24 * 3600
"""In seconds: the longest span that is accepted. With much longer ones, timers overflow instead of waiting."""
_EMPTY = (None, "")
"""The values of a field that is left empty."""


class FaultsError(ValueError):
    """Fields of a model that do not go together."""

    def __init__(self, found: list[Fault]) -> None:
        super().__init__("; ".join(message for _, message in found))
        self.found = found


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise Complaint(
            f"`{excerpt(text)}` is not a valid name: use letters, digits, `.`, `_` and `-`, "
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
    if text.endswith(LISTING):
        raise Complaint(
            f"`{excerpt(text)}` ends in `{LISTING}`, which is for the listings that another feed keeps; "
            "choose another name"
        )
    return text


def _text(text: str) -> str:
    text = text.strip()
    if not text:
        raise Complaint("is blank; give it a value")
    if _CONTROL.search(text):
        # The message does not show the value: a key that was pasted in place of its source has line breaks.
        raise Complaint("contains a line break or another control character; write it on one line")
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
    # pydantic's min_length counts the valid entries only, and would call a list of one wrong entry empty.
    if value == []:
        raise Complaint("is an empty list; add at least one entry")
    return value


def _subscribe(value: Any) -> Any:
    sections = value if isinstance(value, list) else [value]
    if not all(isinstance(section, dict) for section in sections):
        raise Complaint("must be a mapping (`key: value` lines), or a list of mappings")
    return freeform(value)


Filled = Before(_filled)
"""A marker for a list that must have an entry."""
Name = Annotated[str, After(_name)]
FeedName = Annotated[Name, After(_feed_name)]
"""The name of a feed, and of its data files."""
Text = Annotated[str, After(_text)]
Prose = str
"""Text for people, over several lines if need be."""
Day = Annotated[date, Before(_day)]
Seconds = Annotated[float, Within(gt=0, le=WEEK)]
"""A span of time, in seconds."""
Amount = Annotated[float, Within(gt=0)]
Freeform = Annotated[dict[str, Any], Before(freeform)]
"""A section that ssmd hands on as it is."""
Subscribe = Annotated[Any, Before(_subscribe)]
"""One such section, or a list of them."""


class Model:
    """The base of the models, which are frozen dataclasses."""

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with the fields together, each fault with its path within this model."""
        return iter(())

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield each field that is given in the data of a file and has no effect in this version; by default those
        marked NO_EFFECT.
        """
        for name in cls._marked():
            if data.get(name) not in _EMPTY:
                yield (name,), "has no effect in this version"

    @classmethod
    def misplaced(cls) -> Mapping[str, str]:
        """Return, by its name, the right place of each key that a file does not have here, for the end of a message."""
        return {}

    @classmethod
    @cache
    def _marked(cls) -> list[str]:
        """Return the names of the fields marked NO_EFFECT; worked out once for each model."""
        hints = get_type_hints(cls, include_extras=True)
        return [name for name, annotation in hints.items() if NO_EFFECT in getattr(annotation, "__metadata__", ())]

    @classmethod
    @cache
    def keys_known(cls) -> dict[str, Any]:
        """Return the keys that a file may use here, each with the type of its field."""
        return get_type_hints(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        inner = core_schema.no_info_before_validator_function(cls._without_empty, handler(source))
        return core_schema.no_info_after_validator_function(cls._without_faults, inner)

    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        """Return the data without its empty fields: a field that is left empty counts as left out."""
        if not isinstance(data, dict):
            return data
        known = cls.keys_known()
        return {key: value for key, value in data.items() if not (key in known and value in _EMPTY)}

    def _without_faults(self) -> Model:
        if found := list(self.faults()):
            raise FaultsError(found)
        return self
