"""The followed markets of an archive as plain text, and as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ssmd.errors import printable
from ssmd.proof.missed_markets import MissedMarket
from ssmd.reports.markets import FeedMarkets
from ssmd.store.timestamps import timestamp
from ssmd.words import duration

__all__ = ["json_lines", "text_lines"]

_COLUMNS = ("market", "open from", "to", "not collected from", "to", "lasted", "cause")


def text_lines(feeds: Iterable[FeedMarkets]) -> Iterator[str]:
    """Yield for each feed how its followed markets were collected, and a row for each time in which one was not.

    There may be a hundred thousand rows, too many for a table of rich.
    """
    for feed, markets in feeds:
        yield feed
        yield _sum(markets)
        rows = [_COLUMNS, *_rows(markets)]
        if len(rows) > 1:
            yield ""
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            yield from ("  ".join(map(_padded, row, widths, _COLUMNS)).rstrip() for row in rows)
        yield ""


def _sum(markets: Sequence[MissedMarket]) -> str:
    due = [market for market in markets if market.due]
    missed = [market for market in due if market.missed]
    never = sum(not market.collected for market in missed)
    return (
        f"{len(due):,} followed markets were open: {len(due) - len(missed):,} were collected for all of that time, "
        f"{len(missed) - never:,} for a part of it, {never:,} never"
    )


def _rows(markets: Sequence[MissedMarket]) -> Iterator[Sequence[str]]:
    """Yield the rows, those of the market first that was missed longest."""
    for market in sorted(markets, key=lambda market: (-market.seconds, market.name)):
        for missed in market.missed:
            seconds = (missed.end_ns - missed.begin_ns) / 1e9
            yield (
                *(printable(market.name), _time(market.open_ns)[:19], _time(market.close_ns)[:19]),
                *(_time(missed.begin_ns), _time(missed.end_ns), duration(seconds), printable(missed.cause)),
            )


def _padded(cell: str, width: int, column: str) -> str:
    return cell.rjust(width) if column == "lasted" else cell.ljust(width)


def _time(ns: int | None) -> str:
    return "?" if ns is None else timestamp(ns)


def json_lines(feeds: Iterable[FeedMarkets]) -> Iterator[str]:
    """Yield a JSON object for each market that was open while it was to be collected."""
    for feed, markets in feeds:
        for market in markets:
            if market.due:
                yield json.dumps(_object(feed, market))


def _object(feed: str, market: MissedMarket) -> dict[str, Any]:
    return {
        "feed": feed,
        "market": market.name,
        "open": None if market.open_ns is None else timestamp(market.open_ns),
        "close": None if market.close_ns is None else timestamp(market.close_ns),
        "collected": "all" if not market.missed else "part" if market.collected else "never",
        "missed": [
            {
                "from": timestamp(missed.begin_ns),
                "to": timestamp(missed.end_ns),
                "seconds": round((missed.end_ns - missed.begin_ns) / 1e9, 6),
                "cause": missed.cause,
            }
            for missed in market.missed
        ],
    }
