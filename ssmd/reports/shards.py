"""The days of a feed's shards taken together: one row a day, and which shard was missing when. Pure.

The number of shards in force is the one of which the largest part listens: four while three of 4 shards listen and one
of 5 has begun to. The feed is covered while all shards of that number listen. So a change from four shards to five is
no outage when the five listen before the four end, and a market that moves to another shard is never missing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, takewhile
from typing import NamedTuple

from ssmd.contracts.shard import Shard
from ssmd.reports.figures import Absence, Figures
from ssmd.reports.spans import covered, span
from ssmd.reports.top_markets import markets_of_shards
from ssmd.store.closed_hours import Times, divide, joined
from ssmd.store.manifest import ClosedTime, TimeGap
from ssmd.store.timestamps import day_begins, parse_timestamp, timestamp
from ssmd.words import duration

__all__ = ["together", "who_was_missing"]

_NOTHING_HERE = "no data"
"""The cause of the absence of a shard of which there is nothing at all."""
_MOST_NAMED = 4


class _Stretch(NamedTuple):
    """A time of the day in which the same shards were missing."""

    begin_ns: int
    end_ns: int
    missing: Sequence[Shard]
    """Those of the number in force; empty while the feed is covered."""
    any_heard: bool
    """Whether any shard listened, of whatever number."""


def together(days: Mapping[Shard, Figures], in_force: int) -> tuple[Figures, int]:
    """Return the figures of a day of a feed from those of its shards, and the number of shards in force at its end.

    `in_force`: the number before the day; 0 when it is not known.
    """
    closed = joined(map(span, (time for day in days.values() for time in day.closed)))
    parts = list(days.values())
    begin_ns, known_ns = day_begins(parts[0].day), max(day.known_ns for day in parts)
    listening = {shard: list(_listening(day, begin_ns, begin_ns + known_ns)) for shard, day in days.items()}
    stretches, in_force = _stretches(listening, begin_ns, begin_ns + known_ns, in_force)
    # Markets that moved from one division to another would count twice.
    markets = markets_of_shards([day.markets for day in parts]) if len({shard.of for shard in days}) == 1 else None
    whole = replace(_sums(parts, known_ns), markets=markets)
    unknown = [day for day in parts if day.coverage is None]
    if len(unknown) == len(parts) or any(day.messages for day in unknown):
        return replace(whole, coverage=None), in_force
    stretches = list(_open_parts(stretches, closed))
    missing = [stretch for stretch in stretches if stretch.missing]
    absences = _absences(missing, days)
    heard_ns = sum(stretch.end_ns - stretch.begin_ns for stretch in stretches if stretch.any_heard)
    outages, hours = _outages(missing, absences), [_closed_time(*time) for time in closed]
    coverage = covered(known_ns, outages, hours)
    whole = replace(whole, outages=outages, closed=hours, absences=absences, coverage=coverage, heard_ns=heard_ns)
    return whole, in_force


def _open_parts(stretches: Iterable[_Stretch], closed: Times) -> Iterator[_Stretch]:
    """Yield the parts of the stretches that were not closed by schedule: all shards have one, whoever wrote it down."""
    for stretch in stretches:
        for piece in divide(stretch.begin_ns, stretch.end_ns, closed):
            if not piece.closed:
                yield stretch._replace(begin_ns=piece.begin_ns, end_ns=piece.end_ns)


def who_was_missing(outage: TimeGap, absences: Sequence[Absence]) -> str:
    """Return the shards that were missing during an outage, those that were missing longest first, for people.

    They are `all` when each was missing for the whole time, as far as the times that are shown say it. `absences`: in
    the order of time; each lies within one outage.
    """
    seconds: dict[Shard, float] = {}
    first = bisect_left(absences, outage.from_, key=lambda absence: absence.gap.from_)
    for shard, gap in takewhile(lambda absence: absence.gap.from_ < outage.to, islice(absences, first, None)):
        seconds[shard] = round(seconds.get(shard, 0) + gap.seconds, 6)
    shown = set(map(duration, seconds.values()))
    if len(seconds) == max((shard.of for shard in seconds), default=0) and shown == {duration(outage.seconds)}:
        return "all"
    if len(seconds) == 1:
        return next(iter(seconds)).label
    longest = sorted(seconds, key=lambda shard: (-seconds[shard], shard))
    named = [f"{shard.label or 'all'} {duration(seconds[shard])}" for shard in longest[:_MOST_NAMED]]
    more = [f"and {len(longest) - _MOST_NAMED} more"] if len(longest) > _MOST_NAMED else []
    return ", ".join(named + more)


def _sums(days: Sequence[Figures], known_ns: int) -> Figures:
    """Return the sums over shards, but for outages and coverage. What is not known of one is not known of the sum."""
    heard = [day for day in days if day.messages] or days
    types: dict[str, int] = {}
    for day in days:
        for name, count in day.by_type.items():
            types[name] = types.get(name, 0) + count
    return replace(
        days[0],
        messages=sum(day.messages for day in days),
        bytes=sum(day.bytes for day in days),
        stored_bytes=sum(day.stored_bytes for day in days),
        by_hour=[sum(hour) for hour in zip(*(day.by_hour for day in days), strict=True)],
        peak_second=_if_known(max, [day.peak_second for day in heard]),
        by_type=types,
        not_json=sum(day.not_json for day in days),
        sequence_gaps=_if_known(sum, [day.sequence_gaps for day in heard]),
        missing=_if_known(sum, [day.missing for day in heard]),
        outages=(),
        closed=(),
        known_ns=known_ns,
        sealed=all(day.sealed for day in heard),
    )


def _if_known(of: Callable[[list[int]], int], numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return of(known) if len(known) == len(numbers) else None


def _listening(day: Figures, begin_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
    """Yield from when to when a shard listened, or was closed by schedule.

    A shard that still listens is known up to its last line. The other shards show that it is later than that now.
    """
    if day.coverage is None or not (day.coverage or day.outages):
        return
    cursor = begin_ns
    for outage in day.outages:
        if (from_ns := parse_timestamp(outage.from_)) > cursor:
            yield cursor, from_ns
        cursor = parse_timestamp(outage.to)
    if cursor < end_ns:
        yield cursor, end_ns


def _stretches(
    listening: Mapping[Shard, Sequence[tuple[int, int]]], begin_ns: int, end_ns: int, in_force: int
) -> tuple[list[_Stretch], int]:
    """Return the day in stretches, and the number of shards in force at its end."""
    begins = [(from_ns, True, shard) for shard, times in listening.items() for from_ns, _ in times]
    ends = [(to_ns, False, shard) for shard, times in listening.items() for _, to_ns in times]
    changes = sorted([*begins, *ends])
    in_force = in_force or min(begins, default=(0, True, max(listening)))[2].of
    found: list[_Stretch] = []
    there: dict[int, set[Shard]] = {of: set() for of in {shard.of for shard in listening} | {in_force}}
    cursor = begin_ns
    for ns, begins_here, shard in [*changes, (end_ns, False, Shard(1, in_force))]:
        if ns > cursor:
            in_force = _in_force(there, in_force)
            missing = [one for one in _all(in_force) if one not in there[in_force]]
            found.append(_Stretch(cursor, ns, missing, any(there.values())))
            cursor = ns
        if begins_here:
            there[shard.of].add(shard)
        else:
            there[shard.of].discard(shard)
    return found, in_force


@cache
def _all(of: int) -> Sequence[Shard]:
    return [Shard(index, of) for index in range(1, of + 1)]


def _in_force(there: Mapping[int, set[Shard]], before: int) -> int:
    """Return the number of shards of which the largest part is there; `before` while none is."""
    if not any(there.values()):
        return before
    return max(there, key=lambda of: (len(there[of]) / of, of == before, of))


def _absences(stretches: Sequence[_Stretch], days: Mapping[Shard, Figures]) -> list[Absence]:
    """Return when each shard was missing, in the order of time, each with the cause of its own outage."""
    begins = {shard: [parse_timestamp(outage.from_) for outage in day.outages] for shard, day in days.items()}
    found: list[tuple[int, int, Shard, str]] = []
    last: dict[Shard, int] = {}
    for stretch in stretches:
        for shard in stretch.missing:
            place = bisect_right(begins.get(shard, ()), stretch.begin_ns) - 1
            cause = days[shard].outages[place].cause if place >= 0 else _NOTHING_HERE
            place = last.get(shard, -1)
            if place >= 0 and (found[place][1], found[place][3]) == (stretch.begin_ns, cause):
                found[place] = (found[place][0], stretch.end_ns, shard, cause)
            else:
                last[shard] = len(found)
                found.append((stretch.begin_ns, stretch.end_ns, shard, cause))
    return [Absence(shard, _time_gap(from_ns, to_ns, cause)) for from_ns, to_ns, shard, cause in found]


def _outages(stretches: Sequence[_Stretch], absences: Sequence[Absence]) -> list[TimeGap]:
    """Return the times in which any shard was missing, each with all causes of the absences in it."""
    spans: list[tuple[int, int]] = []
    for stretch in stretches:
        if spans and spans[-1][1] == stretch.begin_ns:
            spans[-1] = (spans[-1][0], stretch.end_ns)
        else:
            spans.append((stretch.begin_ns, stretch.end_ns))
    causes: list[dict[str, None]] = [{} for _ in spans]
    begins = [from_ns for from_ns, _ in spans]
    for _, gap in absences:
        causes[bisect_right(begins, parse_timestamp(gap.from_)) - 1][gap.cause] = None
    return [_time_gap(*span, ", ".join(each)) for span, each in zip(spans, causes, strict=True)]


def _closed_time(from_ns: int, to_ns: int) -> ClosedTime:
    return ClosedTime(timestamp(from_ns), timestamp(to_ns), round((to_ns - from_ns) / 1e9, 6))


def _time_gap(from_ns: int, to_ns: int, cause: str) -> TimeGap:
    return TimeGap(timestamp(from_ns), timestamp(to_ns), round((to_ns - from_ns) / 1e9, 6), cause)
