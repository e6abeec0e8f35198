"""GET /events: which events an answer lists, newest first. Pure.

https://docs.kalshi.com/api-reference/events/get-events has the filters. An event matches a status when any of its
markets does.
"""

from __future__ import annotations

from collections.abc import Iterator

from ssmd.sim.births import SECOND
from ssmd.sim.born import Born, Listed
from ssmd.sim.index import Entry
from ssmd.sim.rest.markets import STATUSES
from ssmd.sim.rest.query import Page, Query, take_page
from ssmd.sim.universe import Universe

__all__ = ["events_page"]

_STATUSES = [status for status in STATUSES if status != "paused"]


def events_page(universe: Universe, query: Query, newest_us: int) -> Page:
    """Return the page of events that a request asks for. Raises BadRequest.

    `newest_us`: events that were created later are not listed yet.
    """
    limit, words = query.limit(200, 200), STATUSES.get(query.choice("status", _STATUSES), ())
    series, tickers = query.text("series_ticker"), query.names("tickers")
    closing_us, updated_us = query.seconds_us("min_close_ts", 0), query.seconds_us("min_updated_ts", 0)

    def has(market: Born) -> bool:
        return (
            (not words or market.status in words)
            and market.close_ts * SECOND >= closing_us
            and market.updated_us >= updated_us
        )

    def matches(event: Listed) -> bool:
        return (
            (not series or event.family.ticker == series)
            and (not tickers or event.ticker in tickers)
            and any(has(universe.markets[ticker]) for ticker in event.markets)
        )

    def matching() -> Iterator[Entry]:
        for entry in universe.events_by_created.newest_first(min(query.before(), Entry(newest_us + 1, ""))):
            event = universe.events.get(entry.ticker)
            if event is not None and event.created_us == entry.at_us and matches(event):
                yield entry

    return take_page(matching(), limit)
