"""Hours that repeat on certain days, such as those in which a market is open, in Unix seconds. Pure.

They are given as times of a wall clock in a time zone. When that clock is set forward or back, a local time may not
exist, or exist twice. Then the start is the earlier and the end the later of the two moments that could be meant, so
that nothing is missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

__all__ = ["DAY_SECONDS", "EVERY_DAY", "HORIZON_DAYS", "Daily", "Span", "Times"]

DAY_SECONDS = 86_400
EVERY_DAY = frozenset(range(7))
HORIZON_DAYS = 400
"""How far ahead changes are looked for: more than a year of holidays. What does not change until then never does."""

_SOON_DAYS = 5
"""Nearly every change comes within this time, so it is looked for there first."""
_REACH = 3
"""A stretch that includes a moment has begun at most this many local days before it, even where a zone has left out a
day."""


class Span(NamedTuple):
    """A stretch of time: from `begin` on, and before `end`."""

    begin: int
    end: int


@dataclass(frozen=True)
class Daily:
    """A stretch that begins at the same local time on each of some days."""

    zone: ZoneInfo
    start: int = 0
    """In seconds of the local clock after midnight."""
    end: int = DAY_SECONDS
    """The same; on the next day when it is not after `start`."""
    weekdays: frozenset[int] = EVERY_DAY
    """The days on which it begins; Monday is 0."""
    holidays: frozenset[date] = frozenset()
    """Days on which it does not begin."""

    def span(self, day: date) -> Span | None:
        """Return the stretch that begins on a local day, None when none does."""
        if day.weekday() not in self.weekdays or day in self.holidays:
            return None
        last = self.end if self.end > self.start else self.end + DAY_SECONDS
        return Span(min(self._moments(day, self.start)), max(self._moments(day, last)))

    def _moments(self, day: date, seconds: int) -> tuple[int, int]:
        """Return the two moments that a local time can mean; nearly always they are the same."""
        local = datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)
        first, second = (int(local.replace(tzinfo=self.zone, fold=fold).timestamp()) for fold in (0, 1))
        return first, second

    def spans(self, begin: float, days: int) -> Iterator[Span]:
        """Yield the stretches that include the moment `begin`, or begin within this many days after it."""
        today = datetime.fromtimestamp(begin, UTC).astimezone(self.zone).date()
        for number in range(-_REACH, days + 2):
            if (span := self.span(today + timedelta(number))) is not None:
                yield span

    def include(self, moment: float) -> bool:
        """Return whether one of the stretches includes a moment."""
        return any(span.begin <= moment < span.end for span in self.spans(moment, 0))


@dataclass(frozen=True)
class Times:
    """Several of these together: the time that `all` of them include, or `any` of them includes."""

    parts: Sequence[Daily]
    together: Callable[[Iterable[bool]], bool] = all

    def include(self, moment: float) -> bool:
        """Return whether a moment is within these times."""
        return self.together(part.include(moment) for part in self.parts)

    def next_change(self, moment: float) -> int | None:
        """Return the first moment after `moment` at which include() changes; None when it never does."""
        now = self.include(moment)
        for days in (_SOON_DAYS, HORIZON_DAYS):
            for edge in self._edges(moment, days):
                if edge > moment and self.include(edge) != now:
                    return edge
        return None

    def last_change(self, moment: float) -> int | None:
        """Return when include() changed to what it is at `moment`; None when it has always been so."""
        now = self.include(moment)
        for days in (_SOON_DAYS, HORIZON_DAYS):
            for edge in reversed(self._edges(moment - days * DAY_SECONDS, days)):
                if edge <= moment and self.include(edge - 1) != now:
                    return edge
        return None

    def _edges(self, begin: float, days: int) -> list[int]:
        """Return the moments from `begin` on at which a stretch begins or ends, in order."""
        return sorted({edge for part in self.parts for span in part.spans(begin, days) for edge in span})
