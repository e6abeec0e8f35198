"""The hours of a schedule around the present time: those in which a run collects, and the closed ones beside them."""

from __future__ import annotations

from typing import NamedTuple

from ssmd.metadata.hours import Times
from ssmd.store.timestamps import timestamp

__all__ = ["BY_SCHEDULE", "EARLY_SECONDS", "OpenHours", "next_opening", "open_hours", "second"]

BY_SCHEDULE = {"by": "schedule"}
"""A field of the entries `opened` and `closed` of the ledger."""

EARLY_SECONDS = 5
"""How long before an opening a run starts, so that it is connected when the hours begin."""


class OpenHours(NamedTuple):
    """Hours in which the environment is open; all times are Unix seconds."""

    since: int | None
    """When the closed hours before them began; None when nobody knows."""
    opened: int
    """When they began. Up to EARLY_SECONDS may be left until then."""
    closes: int | None
    """When they end; None for never."""
    until: int | None
    """When the closed hours after them end; None for never."""

    @property
    def reason(self) -> str:
        """Why a run ends that ends with these hours, for people."""
        return f"closed by schedule until {second(self.until)}"

    def opened_fields(self) -> dict[str, object]:
        """Return the fields of the ledger's `opened`."""
        times = {"since": self.since, "at": self.opened, "closes": self.closes, "until": self.until}
        return {**BY_SCHEDULE, **{name: _written(moment) for name, moment in times.items()}}

    def closed_fields(self) -> dict[str, object]:
        """Return the fields of the ledger's `closed`."""
        return {**BY_SCHEDULE, "until": _written(self.until)}


def open_hours(times: Times, now: float) -> OpenHours | None:
    """Return the hours that are open at `now`, or open soon after it; None when it is closed, or never closes."""
    soon = now + EARLY_SECONDS
    opened = times.last_change(soon)
    if not times.include(soon) or opened is None:
        return None
    closes = times.next_change(soon)
    until = None if closes is None else times.next_change(closes)
    return OpenHours(times.last_change(opened - 1), opened, closes, until)


def next_opening(times: Times, now: float) -> int | None:
    """Return when it opens next; None when it is open now, or soon after it, or never opens."""
    soon = now + EARLY_SECONDS
    return None if times.include(soon) else times.next_change(soon)


def second(moment: int | None) -> str:
    """Return a time for people: 2026-06-01T13:30:00Z."""
    return "further notice" if moment is None else f"{timestamp(moment * 10**9)[:19]}Z"


def _written(moment: int | None) -> str | None:
    return None if moment is None else timestamp(moment * 10**9)
