"""The hours of an environment: its `schedule` together with its feed's `calendar`, and when silence is expected."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ssmd.metadata.clock_text import seconds_of, weekday_of, zone_of
from ssmd.metadata.hours import DAY_SECONDS, EVERY_DAY, Daily, Times
from ssmd.metadata.model import Environment, Feed
from ssmd.metadata.sections import Calendar, Schedule

__all__ = ["hours_of", "silences_of", "together"]


def hours_of(environment: Environment, feed: Feed) -> Times | None:
    """Return when an environment, which is valid, is open; None when it has no schedule that is enforced."""
    schedule = environment.schedule
    return together(schedule, feed.calendar) if schedule is not None and schedule.enforce else None


def together(schedule: Schedule, calendar: Calendar | None) -> Times:
    """Return when a schedule is open and, if there is one, a calendar too. Their texts are valid."""
    parts = [_daily(schedule.timezone, schedule.day_start, schedule.day_end, schedule.weekdays)]
    if calendar is not None:
        hours = calendar.open_time, calendar.close_time
        parts.append(_daily(calendar.timezone or "UTC", *hours, calendar.weekdays, calendar.holidays))
    return Times(parts)


def silences_of(environment: Environment) -> Times:
    """Return when no message is expected in an environment, which is valid."""
    parts = [
        _daily(each.timezone, each.from_, each.to, [each.weekday] if each.weekday else None)
        for each in environment.expected_silence
    ]
    return Times(parts, any)


def _daily(
    zone: str, start: str | None, end: str | None, weekdays: Iterable[str] | None, holidays: Iterable[date] = ()
) -> Daily:
    return Daily(
        zone_of(zone),
        seconds_of(start) if start else 0,
        seconds_of(end) if end else DAY_SECONDS,
        frozenset(map(weekday_of, weekdays)) if weekdays else EVERY_DAY,
        frozenset(holidays),
    )
