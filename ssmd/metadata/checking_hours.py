"""Checks the hours of an environment: its `schedule`, the `calendar` of its feed, and when silence is expected.

Trees from before there was `enforce` describe a trading day there, in any words. So the texts are checked only where
they act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from ssmd.metadata.clock_text import seconds_of, zone_of
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.hours import DAY_SECONDS, HORIZON_DAYS
from ssmd.metadata.markers import Complaint
from ssmd.metadata.model import WITHOUT_ENFORCE, Environment, Feed
from ssmd.metadata.schedule import silences_of, together
from ssmd.metadata.sections import Calendar, Schedule, is_enforced

__all__ = ["check_calendar", "check_schedule", "check_silences"]

T = TypeVar("T")

_SCHEDULE, _CALENDAR, _SILENCES = "schedule", "calendar", "expected_silence"


def check_calendar(feed: MetadataFile[Feed], environments: Iterable[MetadataFile[Environment]]) -> None:
    """Warn of a calendar that acts for none of these environments."""
    enforcing = (each for each in environments if each.text("feed") == feed.name)
    if feed.value(_CALENDAR) not in (None, "") and not any(is_enforced(each.value(_SCHEDULE)) for each in enforcing):
        feed.report((_CALENDAR,), WITHOUT_ENFORCE, warning=True, lenient=True)


def check_schedule(environment: MetadataFile[Environment], feed: MetadataFile[Feed] | None, today: date) -> None:
    """Report what is wrong with the hours of an environment whose schedule is enforced."""
    if not is_enforced(environment.value(_SCHEDULE)):
        return
    schedule = environment.field(Schedule, _SCHEDULE)
    calendar = feed.field(Calendar, _CALENDAR) if feed is not None else None
    sound = _Section(environment, _SCHEDULE).are_hours("day_start", "day_end")
    if feed is not None and calendar is not None:
        section = _Section(feed, _CALENDAR)
        sound = section.are_hours("open_time", "close_time") and sound
        section.check_zone_and_holidays(calendar)
    lacks_calendar = feed is not None and feed.value(_CALENDAR) not in (None, "") and calendar is None
    if not sound or schedule is None or lacks_calendar:
        return
    hours = together(schedule, calendar)
    now = _midnight(today)
    if hours.next_change(now) is None:
        _report_constant(environment, hours.include(now), calendar is not None)


def check_silences(environment: MetadataFile[Environment], today: date) -> None:
    """Report that silence would always be expected, so that nothing would ever raise an alarm."""
    if environment.model is None:
        return
    silences, now = silences_of(environment.model), _midnight(today)
    if silences.include(now) and silences.next_change(now) is None:
        environment.report((_SILENCES,), "is all of the time; name the hours of silence, or leave it out")


def _midnight(day: date) -> float:
    """Return when a day begins in UTC, Unix seconds."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _report_constant(environment: MetadataFile[Environment], is_open: bool, has_calendar: bool) -> None:
    if is_open:
        message = "is always open, so `enforce` has no effect; give `day_start` and `day_end`, or `weekdays`"
        environment.report((_SCHEDULE,), message, warning=True)
        return
    both = " that its feed's `calendar` is open too" if has_calendar else ""
    message = f"is never open within the next {HORIZON_DAYS} days{both}; correct the times, weekdays or holidays"
    environment.report((_SCHEDULE,), message)


@dataclass(frozen=True)
class _Section:
    """The `schedule` of an environment, or the `calendar` of a feed."""

    file: MetadataFile[Any]
    name: str

    def are_hours(self, start: str, end: str) -> bool:
        """Return whether the zone and the times are valid; report them when not. `start`, `end`: names of fields."""
        zone = self._valid("timezone", zone_of)
        begin, last = self._valid(start, seconds_of), self._valid(end, seconds_of)
        if begin == DAY_SECONDS:
            self.file.report((self.name, start), "24:00 can only be an end; use 00:00")
            return False
        if begin is not None and begin == last:
            remedy = "leave both out to be open all day" if self.name == _SCHEDULE else "leave both out"
            self.file.report((self.name, end), f"is the same as {start}; {remedy}")
            return False
        given: Mapping[str, Any] = self.file.value(self.name) or {}
        names = {"timezone": zone, start: begin, end: last}
        return all(value is not None for name, value in names.items() if given.get(name) not in (None, ""))

    def _valid(self, name: str, read: Callable[[str], T]) -> T | None:
        """Return the value of a field; None when it is not given, or not valid, which is reported."""
        text = self.file.value(self.name, name)
        if text in (None, "") or not isinstance(text, str):
            return None
        try:
            return read(text.strip())
        except Complaint as complaint:
            self.file.report((self.name, name), str(complaint))
            return None

    def check_zone_and_holidays(self, calendar: Calendar) -> None:
        if calendar.timezone is None:
            message = "is required where an environment enforces its schedule; add it, such as America/New_York"
            self.file.report((self.name, "timezone"), message)
        if calendar.holiday_calendar is not None and not calendar.holidays:
            message = "ssmd knows no holidays by a name; list the days in `holidays`, such as [2026-12-25]"
            self.file.report((self.name, "holiday_calendar"), message, warning=True)
