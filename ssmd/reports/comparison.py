"""The days of a feed beside each other: compared with the days before, and their outages joined. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ssmd.contracts.exchange import LOSS_NOT_DETECTED
from ssmd.reports.figures import Figures
from ssmd.reports.shards import who_was_missing
from ssmd.store.manifest import TimeGap
from ssmd.store.timestamps import day_begins, timestamp

__all__ = ["DAYS_BEFORE", "by_feed", "change", "joined_outages", "loss_note", "missing_shards"]

DAYS_BEFORE = 7
"""How many days a day is compared with."""


def by_feed(figures: Sequence[Figures]) -> dict[str, list[Figures]]:
    """Return the days of each feed, in their order."""
    found: dict[str, list[Figures]] = {}
    for each in figures:
        found.setdefault(each.feed, []).append(each)
    return found


def change(days: Sequence[Figures], place: int) -> float | None:
    """Return by how many percent a day has more messages than the mean of up to DAYS_BEFORE days before it.

    `place`: the index of the day in `days`, oldest first. A day that is not over is compared with the same hours of the
    days before. None when there is nothing to compare it with.
    """
    day = days[place]
    before = [each for each in days[max(0, place - DAYS_BEFORE) : place] if each.messages and each.over]
    hours = 24 if day.over else day.known_ns // 3_600_000_000_000
    usual = sum(sum(each.by_hour[:hours]) for each in before)
    if not usual:
        return None
    return 100 * (sum(day.by_hour[:hours]) * len(before) / usual - 1)


def loss_note(days: Sequence[Figures]) -> str:
    """Return the sentence about the days of a feed on which lost messages do not show; empty when there are none."""
    count, whole = sum(day.hides_loss for day in days), sum(bool(day.messages) for day in days)
    if count == whole:
        return LOSS_NOT_DETECTED if count else ""
    return f"on {count} of {whole} days {LOSS_NOT_DETECTED}" if count else ""


def joined_outages(days: Sequence[Figures]) -> list[TimeGap]:
    """Return the outages of a feed's days, which come oldest first; one that goes on over midnight is one outage."""
    found: list[TimeGap] = []
    for day in days:
        for outage in day.outages:
            if found and outage.from_ == found[-1].to == timestamp(day_begins(day.day)):
                last = found[-1]
                found[-1] = replace(last, to=outage.to, seconds=round(last.seconds + outage.seconds, 6))
            else:
                found.append(outage)
    return found


def missing_shards(days: Sequence[Figures], outages: Sequence[TimeGap]) -> list[str]:
    """Return for each of some joined outages which shards were missing; empty texts for a feed without shards."""
    absences = [absence for day in days for absence in day.absences]
    return [who_was_missing(outage, absences) for outage in outages]
