"""GET /markets: which markets an answer lists, newest first. Pure.

https://docs.kalshi.com/api-reference/market/get-markets has the filters, and which of them exclude each other. The
order is not documented: cursors of real answers hold the time and the ticker of the last row, and the rows go from the
newest `created_time` to the oldest, those of closed markets from the newest `close_time`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from ssmd.sim.births import DETERMINED_AFTER, SECOND
from ssmd.sim.born import Born
from ssmd.sim.index import Entry, Index
from ssmd.sim.rest.query import LAST_US, BadRequest, Page, Query, take_page
from ssmd.sim.universe import Universe

__all__ = ["STATUSES", "markets_page"]

STATUSES: dict[str, tuple[str, ...]] = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined"),
    "settled": ("finalized",),
}
"""The values of the filter `status`, each with the words that it stands for in answers."""

_TIMES = {
    ("min_created_ts", "max_created_ts"): ("", "unopened", "open"),
    ("min_close_ts", "max_close_ts"): ("", "closed"),
    ("min_settled_ts", "max_settled_ts"): ("", "settled"),
    ("min_updated_ts",): ("",),
}
"""The filters by time, each with the values of `status` that go with it. Two of them exclude each other."""

_NOT_WITH_UPDATED = ("event_ticker", "tickers")

_Test = Callable[[Born], bool]


def markets_page(universe: Universe, query: Query, newest_us: int) -> Page:
    """Return the page of markets that a request asks for. Raises BadRequest.

    `newest_us`: markets that were created later are not listed yet.
    """
    limit, status = query.limit(100, 1000), query.choice("status", STATUSES)
    _refuse_what_excludes_each_other(query, status)
    if query.text("mve_filter") == "only":
        return Page([], "")
    tests = list(chain(_of_names(universe, query), _of_times(universe, query, newest_us)))
    if words := STATUSES.get(status):
        tests.append(lambda market: market.status in words)
    markets = universe.markets

    def matching() -> Iterator[Entry]:
        for entry in _candidates(universe, query, status, newest_us):
            market = markets.get(entry.ticker)
            if market is not None and all(test(market) for test in tests):
                yield entry

    return take_page(matching(), limit)


def _refuse_what_excludes_each_other(query: Query, status: str) -> None:
    used = [names for names in _TIMES if query.given(names)]
    if len(used) > 1:
        raise BadRequest(f"{query.given(used[0])[0]} cannot be used together with {query.given(used[1])[0]}")
    for names in used:
        if status not in _TIMES[names]:
            raise BadRequest(f"{query.given(names)[0]} cannot be used with status={status}")
    if query.given(["min_updated_ts"]):
        if others := query.given(_NOT_WITH_UPDATED):
            raise BadRequest(f"min_updated_ts cannot be used together with {others[0]}")
        if query.given(["series_ticker"]) and query.text("mve_filter") != "exclude":
            raise BadRequest("min_updated_ts with series_ticker needs mve_filter=exclude")


def _of_names(universe: Universe, query: Query) -> Iterator[_Test]:
    if tickers := frozenset(query.names("tickers")):
        yield lambda market: market.ticker in tickers
    if event := query.text("event_ticker"):
        yield lambda market: market.event == event
    if series := query.text("series_ticker"):
        yield lambda market: universe.events[market.event].family.ticker == series


def _of_times(universe: Universe, query: Query, newest_us: int) -> Iterator[_Test]:
    first_us, last_us = query.span_us("created")
    last_us = min(last_us, newest_us)
    yield lambda market: first_us <= market.created_us <= last_us
    if query.given(["min_close_ts", "max_close_ts"]):
        opens, closes = query.span_us("close")
        yield lambda market: opens <= market.close_ts * SECOND <= closes
    if query.given(["min_settled_ts", "max_settled_ts"]):
        first, last = query.span_us("settled")
        births = universe.births
        yield lambda market: market.status == "finalized" and first <= market.settled_us(births) <= last


def _candidates(universe: Universe, query: Query, status: str, newest_us: int) -> Iterator[Entry]:
    """Yield the entries from the index that leaves out most, in the order of the answer."""
    before = query.before()
    if query.given(_NOT_WITH_UPDATED):
        event = universe.events.get(query.text("event_ticker"))
        names = query.names("tickers") or (event.markets if event else ())
        found = [Entry(universe.markets[name].created_us, name) for name in set(names) if name in universe.markets]
        return (entry for entry in sorted(found, reverse=True) if entry < before)
    if query.given(["min_updated_ts"]):
        updated = universe.by_updated.newest_first(before, query.seconds_us("min_updated_ts", 0))
        return filter(universe.is_last_update, updated)
    births = universe.births
    if status == "closed":
        # Those that closed earlier are settled.
        return universe.by_closed.newest_first(before, newest_us - births.passing_us(2 * DETERMINED_AFTER))
    first_us, last_us = query.span_us("created")
    if status == "unopened":
        # Those that were created earlier have opened.
        first_us = max(first_us, newest_us - births.passing_us(births.open_after) - SECOND)
    index = universe.by_created
    if series := query.text("series_ticker"):
        index = universe.by_series.get(series, Index())
    return index.newest_first(min(before, Entry(min(last_us, newest_us, LAST_US) + 1, "")), first_us)
