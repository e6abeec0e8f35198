"""What pydantic is to know of a field beyond its type, as markers for `Annotated`.

They say the same as pydantic's own. But they import it only when it asks them, and so do not bring it into a
process that uses the models and validates nothing.
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
    """A value that its field does not take; the text says why."""


@dataclass(frozen=True)
class Before:
    """A marker: the function sees a value before its type does, and may change it or raise Complaint."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.function, handler(source))


@dataclass(frozen=True)
class After:
    """A marker: the function sees a value that is of its type, and may change it or raise Complaint."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.function, handler(source))


@dataclass(frozen=True)
class Within:
    """A marker: the bounds of a number. Infinity and what is not a number are never within."""

    gt: int | None = None
    ge: int | None = None
    le: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        if source is int:
            return core_schema.int_schema(gt=self.gt, ge=self.ge, le=self.le)
        return core_schema.float_schema(gt=self.gt, ge=self.ge, le=self.le, allow_inf_nan=False)


class _NoEffect:
    """A marker that pydantic does not know."""


NO_EFFECT = _NoEffect()
"""A marker: the field is part of the metadata model, and nothing acts on it in this version."""
