"""The markets of a feed on the newest day of a report: those with the most messages, and those without any. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ssmd.errors import printable
from ssmd.reports.figures import Figures
from ssmd.shape.markets import NAMED
from ssmd.shape.shape import Markets
from ssmd.words import count

__all__ = ["MarketsOfDay", "market_lines", "markets_of_shards", "newest_markets"]

_MOST_LINES = 10
"""How many markets the text names."""


class MarketsOfDay(NamedTuple):
    """The markets of the newest day on which they were counted, as texts."""

    day: str
    top: Sequence[tuple[str, str, float]]
    """Each with its messages, and its part of those of all markets."""
    summary: str
    silent: str
    """A sentence about those without a message; empty when none was asked for by name."""


def newest_markets(days: Sequence[Figures]) -> MarketsOfDay | None:
    """Return the markets of a feed, whose days come oldest first; None when they were counted on none of them."""
    for day in reversed(days):
        if (found := day.markets) is not None:
            about = "" if found.exact else "about "
            top = [(name, about + count(number), number / found.messages) for name, number in found.top.items()]
            return MarketsOfDay(day.day, top, _summary(found), _silent(found))
    return None


def _summary(found: Markets) -> str:
    heard = "how many had a message is not known" if found.heard is None else f"{count(found.heard)} had a message"
    return f"{heard}, {'none' if found.asked is None else count(found.asked)} were asked for by name"


def _silent(found: Markets) -> str:
    if found.asked is None:
        return ""
    if found.silent is None:
        return "which of the markets asked for by name had no message is not known"
    if not found.silent:
        return "every market that was asked for by name had a message"
    more = found.silent - len(found.silent_names)
    names = ", ".join(map(printable, found.silent_names)) + (f" and {count(more)} more" if more else "")
    return f"{count(found.silent)} of the markets asked for by name had no message: {names}"


def market_lines(days: Sequence[Figures]) -> Iterator[str]:
    """Yield what newest_markets() returns as lines of text; none for None."""
    markets = newest_markets(days)
    if markets is None:
        return
    yield f"markets on {markets.day}: {markets.summary}"
    rows = [(printable(name), number, f"{100 * part:.1f} %") for name, number, part in markets.top[:_MOST_LINES]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, number, part in rows:
        yield f"  {name:<{widths[0]}}  {number:>{widths[1]}}  {part:>{widths[2]}}"
    if markets.silent:
        yield f"  {markets.silent}"


def markets_of_shards(shards: Sequence[Markets | None]) -> Markets | None:
    """Return the markets of shards that divide them among themselves; None when those of one are not known."""
    found = [each for each in shards if each is not None]
    if len(found) < len(shards) or not found:
        return None
    counts: dict[str, int] = {}
    for each in found:
        for name, number in each.top.items():
            counts[name] = counts.get(name, 0) + number
    return Markets(
        messages=sum(each.messages for each in found),
        exact=all(each.exact for each in found),
        heard=_sum([each.heard for each in found]),
        top=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NAMED]),
        asked=_sum([each.asked for each in found]),
        silent=_sum([each.silent for each in found]),
        silent_names=sorted(name for each in found for name in each.silent_names)[:NAMED],
    )


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
