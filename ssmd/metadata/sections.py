"""The models of an environment's sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ssmd.metadata.fields import Fault, Model, Text
from ssmd.metadata.markers import NO_EFFECT, Within

__all__ = ["Cache", "Schedule", "Snapshots", "Storage", "Transport"]


@dataclass(frozen=True, kw_only=True)
class _ForPart(Model):
    """A section whose `type` names a part, which may have further fields."""

    type: Text

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        # Without a type it is not known which fields have an effect.
        return super().without_effect(data) if data.get("type") else iter(())


@dataclass(frozen=True, kw_only=True)
class Transport(_ForPart):
    """How messages are handed on."""

    url: Annotated[Text | None, NO_EFFECT] = None
    stream: Annotated[Text | None, NO_EFFECT] = None
    subject_prefix: Annotated[Text | None, NO_EFFECT] = None


@dataclass(frozen=True, kw_only=True)
class Storage(_ForPart):
    """Where messages are kept."""

    path: Annotated[Text | None, NO_EFFECT] = None
    bucket: Annotated[Text | None, NO_EFFECT] = None
    region: Annotated[Text | None, NO_EFFECT] = None


@dataclass(frozen=True, kw_only=True)
class Snapshots(Model):
    """When fresh order books are asked for."""

    after_gap: Literal["request", "end"] = "request"
    daily: bool = True
    per_second: Annotated[int, Within(gt=0, le=100_000)] = 200


@dataclass(frozen=True, kw_only=True)
class Schedule(Model):
    """When to collect."""

    timezone: Text = "UTC"
    day_start: Text | None = None
    day_end: Text | None = None
    auto_roll: bool = False


@dataclass(frozen=True, kw_only=True)
class Cache(Model):
    """The cache of other programs."""

    type: Text
    max_size: Text | None = None
    url: Text | None = None
