"""Time zones, times of day and weekdays, as the metadata writes them. A text that is wrong raises Complaint."""

from __future__ import annotations

import re
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from ssmd.metadata.hours import DAY_SECONDS
from ssmd.metadata.markers import Complaint
from ssmd.metadata.problem import excerpt
from ssmd.spelling import nearest

__all__ = ["WEEKDAYS", "seconds_of", "weekday_of", "zone_of"]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_TIME = re.compile(r"([0-2][0-9]):([0-5][0-9])(?::([0-5][0-9]))?")
_ALMOST = re.compile(r"([0-9]{1,2})(?:[:.h]?([0-9]{2}))?(?:[:.][0-9]{2})?\s*(am|pm|)", re.IGNORECASE)
"""What people write for a time: 9:30, 0930, 9.30, 9h30, 9 am."""


@cache
def zone_of(text: str) -> ZoneInfo:
    """Return the time zone of this name in the tz database, such as America/New_York."""
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, LookupError):
        hint = nearest(text.replace(" ", "_"), available_timezones())
        wrong = f"`{excerpt(text)}` is not a time zone"
        raise Complaint(f"{wrong}{hint or '; give a name of the tz database, such as America/New_York'}") from None


def seconds_of(text: str) -> int:
    """Return the seconds after midnight of a time of day, from 00:00 to 24:00, such as 09:30 or 09:30:15."""
    found = _TIME.fullmatch(text)
    if found is not None:
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        if (total := 3600 * hours + 60 * minutes + seconds) <= DAY_SECONDS:
            return total
    raise Complaint(f"must be a time such as 09:30 or 17:00, not `{excerpt(text)}`{_meant(text)}")


def _meant(text: str) -> str:
    found = _ALMOST.fullmatch(text.strip())
    if found is None:
        return ""
    hour, minute, half = int(found[1]), int(found[2] or 0), found[3].lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + 12 * (half == "pm")
    elif half:
        return ""
    return f"; did you mean `{hour:02}:{minute:02}`?" if hour < 24 and minute < 60 else ""


def weekday_of(text: str) -> int:
    """Return the number of a weekday; Monday is 0."""
    name = text.lower()
    if name in WEEKDAYS:
        return WEEKDAYS.index(name)
    meant = [each for each in WEEKDAYS if len(name) > 1 and each.startswith(name)]
    hint = f"; did you mean `{meant[0]}`?" if meant else nearest(name, WEEKDAYS)
    raise Complaint(f"must be one of {', '.join(WEEKDAYS)}, not `{excerpt(text)}`{hint}")
