"""Markers for `Annotated` that say more about a field than its type.

They do the same as pydantic's own markers, but import pydantic only when it asks for them. So a process that uses the
models and validates nothing does not load it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["NO_EFFECT", "After", "Before", "Complaint", "Within"]


class Complaint(ValueError):
    """A value that its field does not accept; the text says why."""


@dataclass(frozen=True)
class Before:
    """A marker: the function gets a value before its type is checked, and may change it or raise Complaint."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.function, handler(source))


@dataclass(frozen=True)
class After:
    """A marker: the function gets a value of the right type, and may change it or raise Complaint."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.function, handler(source))


@dataclass(frozen=True)
class Within:
    """A marker: the bounds of a number. Infinity and NaN are never within."""

    gt: int | None = None
    ge: int | None = None
    le: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        if source is int:
            return core_schema.int_schema(gt=self.gt, ge=self.ge, le=self.le)
        return core_schema.float_schema(gt=self.gt, ge=self.ge, le=self.le, allow_inf_nan=False)


class _NoEffect:
    """The type of NO_EFFECT, which pydantic ignores."""


NO_EFFECT = _NoEffect()
"""A marker: the field is part of the metadata model, and nothing acts on it in this version."""
