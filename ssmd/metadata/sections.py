"""The models of an environment's sections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from ssmd.metadata.clock_text import seconds_of, weekday_of, zone_of
from ssmd.metadata.fields import Day, Fault, Filled, Model, Text
from ssmd.metadata.markers import NO_EFFECT, After, Within
from ssmd.metadata.problem import excerpt

__all__ = ["Cache", "Calendar", "ExpectedSilence", "Schedule", "Snapshots", "Storage", "Transport", "is_enforced"]


def _checked(function: Callable[[str], object]) -> After:
    """Return a marker for a text that the function accepts. It stays text: the existing metadata has text there."""

    def check(text: str) -> str:
        function(text)
        return text

    return After(check)


Zone = Annotated[Text, _checked(zone_of)]
TimeOfDay = Annotated[Text, _checked(seconds_of)]
Weekday = Annotated[Text, _checked(weekday_of)]
Weekdays = Annotated[tuple[Weekday, ...], Filled]


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
    """How messages are handed on. What the fields mean is for the engine that `type` names."""

    url: Annotated[Text | None, NO_EFFECT] = None
    path: Annotated[Text | None, NO_EFFECT] = None
    stream: Annotated[Text | None, NO_EFFECT] = None
    topic: Annotated[Text | None, NO_EFFECT] = None
    subject_prefix: Annotated[Text | None, NO_EFFECT] = None
    ca_file: Annotated[Text | None, NO_EFFECT] = None
    sasl_mechanism: Annotated[Text | None, NO_EFFECT] = None
    start: Annotated[Text | None, NO_EFFECT] = None
    relay: Annotated[Text | None, NO_EFFECT] = None

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        for path, _ in super().without_effect(data):
            yield path, f"has no effect with `type: {excerpt(str(data['type']))}`"


@dataclass(frozen=True, kw_only=True)
class Storage(_ForPart):
    """Where messages are kept."""

    path: Annotated[Text | None, NO_EFFECT] = None
    bucket: Annotated[Text | None, NO_EFFECT] = None
    prefix: Annotated[Text | None, NO_EFFECT] = None
    region: Annotated[Text | None, NO_EFFECT] = None
    endpoint: Annotated[Text | None, NO_EFFECT] = None
    ca_file: Annotated[Text | None, NO_EFFECT] = None
    live_seconds: Annotated[Text | None, NO_EFFECT] = None
    keep_days: Annotated[Text | None, NO_EFFECT] = None


@dataclass(frozen=True, kw_only=True)
class Snapshots(Model):
    """When fresh order books are asked for."""

    after_gap: Literal["request", "end"] = "request"
    daily: bool = True
    per_second: Annotated[int, Within(gt=0, le=100_000)] = 200


@dataclass(frozen=True, kw_only=True)
class Schedule(Model):
    """When to collect. It acts only with `enforce`, and its texts are checked only then: see schedule.py."""

    timezone: Text = "UTC"
    day_start: Text | None = None
    day_end: Text | None = None
    weekdays: Weekdays | None = None
    """The days on which the hours begin; None for all."""
    auto_roll: bool = False
    enforce: bool = False

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        if is_enforced(data) and data.get("auto_roll") not in (None, ""):
            yield ("auto_roll",), "has no effect: a new file always begins at midnight, UTC"


def is_enforced(schedule: Any) -> bool:
    """Return whether the data of a `schedule` says that it acts."""
    return isinstance(schedule, dict) and str(schedule.get("enforce")).strip().lower() in _TRUE


_TRUE = ("true", "yes", "on", "1", "t", "y")
"""What pydantic takes for true."""


@dataclass(frozen=True, kw_only=True)
class Calendar(Model):
    """When a feed trades. It acts for environments whose schedule is enforced, as Schedule does."""

    timezone: Text | None = None
    holiday_calendar: Text | None = None
    open_time: Text | None = None
    close_time: Text | None = None
    weekdays: Weekdays | None = None
    holidays: tuple[Day, ...] = ()
    """Days on which it does not open."""


@dataclass(frozen=True, kw_only=True)
class ExpectedSilence(Model):
    """Hours in which silence raises no alarm, such as an exchange's maintenance."""

    # `from` is a word of Python, and cannot be the name of a field.
    __pydantic_config__: ClassVar = {"alias_generator": lambda name: name.rstrip("_")}

    timezone: Zone = "UTC"
    weekday: Weekday | None = None
    """The day on which it begins; None for every day."""
    from_: TimeOfDay
    to: TimeOfDay

    @classmethod
    @cache
    def keys_known(cls) -> dict[str, Any]:
        return {name.rstrip("_"): kind for name, kind in get_type_hints(cls).items() if not name.startswith("_")}

    def faults(self) -> Iterator[Fault]:
        if seconds_of(self.from_) == seconds_of(self.to):
            yield ("to",), "is the same as `from`; for a whole day use 00:00 and 24:00"


@dataclass(frozen=True, kw_only=True)
class Cache(Model):
    """The cache of other programs."""

    type: Text
    max_size: Text | None = None
    url: Text | None = None
