"""The times in which followed markets were open and not collected, with their causes. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ssmd.errors import printable
from ssmd.proof.coverage import OpenTime
from ssmd.proof.followed_markets import FollowedMarkets
from ssmd.store.closed_hours import Times, closed_times, divide, joined
from ssmd.store.ledger import Entry
from ssmd.store.manifest import SessionRecord
from ssmd.store.sessions import NOT_STARTED
from ssmd.store.timestamps import parse_timestamp, timestamp

__all__ = ["NOT_SUBSCRIBED", "Missed", "MissedMarket", "missed_markets", "note_of", "recorded_times"]

NOT_SUBSCRIBED = "not subscribed"
"""The cause of a time in which a market was not collected although a connection was open."""
_NOTED_SECONDS = 1.0
"""What is missed for no longer is in no note: at each start, markets are open before they are subscribed to."""
_NAMED = 3
"""How many markets are named in a sentence."""


class Missed(NamedTuple):
    """A time in which a market was open and not collected, in ns since the epoch."""

    begin_ns: int
    end_ns: int
    cause: str
    """NOT_SUBSCRIBED, or the cause of an outage."""


class MissedMarket(NamedTuple):
    """A followed market, and when it was not collected; the times are in ns since the epoch."""

    name: str
    open_ns: int | None
    """When it opened; None when that is not known."""
    close_ns: int | None
    due: bool
    """Whether it was open at all while it was to be collected."""
    collected: bool
    """Whether it was collected for a part of that time at least."""
    missed: Sequence[Missed]

    @property
    def seconds(self) -> float:
        return sum(each.end_ns - each.begin_ns for each in self.missed) / 1e9


def missed_markets(
    parts: Sequence[FollowedMarkets], until_ns: int, closed: Times = ()
) -> Iterator[MissedMarket]:
    """Yield all followed markets of a feed, after FollowedMarkets.finish(), up to a time.

    `parts`: its shards. A market that has moved to another shard is collected while any of them collects it. `closed`:
    when it was closed by schedule, which does not count.
    """
    stretches = [list(_stretches(part.times)) for part in parts]
    for name in dict.fromkeys(name for part in parts for name in part.markets):
        found = [(place, part.markets[name]) for place, part in enumerate(parts) if name in part.markets]
        due = joined(span for _, market in found for span in market.due(until_ns))
        collected = joined(span for _, market in found for span in market.collected)
        missed = _remaining(_remaining(due, closed), collected)
        last_place, last = found[-1]
        causes = [each for span in missed for each in _with_causes(span, stretches[last_place])]
        yield MissedMarket(name, last.open_ns, last.close_ns, bool(due), _meet(due, collected), causes)


def _remaining(times: Times, without: Times) -> Times:
    """Return stretches of time without the parts that others take away."""
    return [
        (piece.begin_ns, piece.end_ns)
        for begin_ns, end_ns in times
        for piece in divide(begin_ns, end_ns, without)
        if not piece.closed
    ]


def _meet(times: Times, others: Times) -> bool:
    return any(piece.closed for begin_ns, end_ns in times for piece in divide(begin_ns, end_ns, others))


def _stretches(times: Iterable[OpenTime]) -> Iterator[Missed]:
    """Yield all time, divided by connections and outages, in order."""
    ordered = sorted(times)
    first_ns = ordered[0].begin_ns if ordered else _END
    yield Missed(0, first_ns, NOT_STARTED)
    for time, after in pairwise([*ordered, OpenTime(_END, _END, "")]):
        yield Missed(time.begin_ns, time.end_ns, NOT_SUBSCRIBED)
        yield Missed(time.end_ns, after.begin_ns, time.cause)


_END = 1 << 63


def _with_causes(span: tuple[int, int], stretches: Sequence[Missed]) -> list[Missed]:
    found: list[Missed] = []
    place = bisect_right(stretches, span[0], key=lambda each: each.begin_ns) - 1
    while place < len(stretches) and stretches[place].begin_ns < span[1]:
        begin_ns, end_ns, cause = stretches[place]
        begin_ns, end_ns = max(begin_ns, span[0]), min(end_ns, span[1])
        if found and (found[-1].end_ns, found[-1].cause) == (begin_ns, cause):
            found[-1] = found[-1]._replace(end_ns=end_ns)  # A connection that goes on over midnight.
        elif begin_ns < end_ns:
            found.append(Missed(begin_ns, end_ns, cause))
        place += 1
    return found


def recorded_times(sessions: Iterable[SessionRecord]) -> list[OpenTime]:
    """Return when a connection was open, as the manifest of a day says."""
    return [OpenTime(parse_timestamp(each.began), parse_timestamp(each.ended), each.cause) for each in sessions]


def note_of(day: str, entries: Iterable[Entry], sessions: Iterable[SessionRecord], until_ns: int) -> Iterator[str]:
    """Yield a sentence about the followed markets of a day (YYYY-MM-DD), to be read after its path, if some were not
    collected as they should. `sessions`: of the day's manifest. `until_ns`: how much of the day counts.
    """
    found = list(entries)
    markets = FollowedMarkets()
    markets.take(day, found, recorded_times(sessions))
    markets.finish()
    yield from _sentence(missed_markets([markets], until_ns, closed_times(found)))


def _sentence(markets: Iterable[MissedMarket]) -> Iterator[str]:
    due = [market for market in markets if market.due]
    found = sorted((market for market in due if market.seconds > _NOTED_SECONDS), key=lambda market: -market.seconds)
    if found:
        never = sum(not market.collected for market in found)
        seconds = sum(market.seconds for market in found)
        named = "; ".join(map(_shown, found[:_NAMED]))
        yield (
            f"{len(found):,} of {len(due):,} followed markets were not collected at some time while they were open"
            f"{f', {never:,} of them at no time' if never else ''}; added up, that is {seconds:,.0f} s: {named}"
            f"{'; ...' if len(found) > _NAMED else ''}; `ssmd report --markets` names all"
        )


def _shown(market: MissedMarket) -> str:
    longest = max(market.missed, key=lambda each: each.end_ns - each.begin_ns)
    times = f"{timestamp(longest.begin_ns)[:19]} to {timestamp(longest.end_ns)[:19]}"
    return f"{printable(market.name)} from {times} ({printable(longest.cause)})"
