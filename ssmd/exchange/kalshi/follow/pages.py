"""The pages of a listing: which to ask for next, and whether an answer is the one that was asked for. Pure.

A page has the newest markets first, and a cursor for the next page; the last one has an empty cursor or none
(https://docs.kalshi.com/getting_started/pagination). A cursor that Kalshi does not take is answered with the first page
and status 200, so pages are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ssmd.exchange.kalshi.follow.answers import Page

__all__ = ["LIMIT", "MOST_FAILURES", "Pages", "Query"]

LIMIT = 1000
"""How many markets a page has at most (https://docs.kalshi.com/openapi.yaml)."""
MOST_FAILURES = 3
"""After this many failures of one page, its list begins again at the first page, because the cursor may be too old."""
_MOST_EMPTY = 10
"""How many empty pages with a cursor may follow one another."""


class Query(NamedTuple):
    """One list of markets."""

    parameters: Mapping[str, str | int]
    series: str = ""
    """The series of all its markets; empty when they are of several."""


class Pages:
    """The pages of some lists, one after the other."""

    def __init__(self, queries: Iterable[Query]) -> None:
        self._queries = list(queries)
        self._failures = 0
        self._begin()

    def _begin(self) -> None:
        """Begin the first list at its first page."""
        self._cursor = ""
        self._first: frozenset[str] = frozenset()
        """The markets of its first page."""
        self._last: frozenset[str] = frozenset()
        """Those of the page before."""
        self._empty = 0

    @property
    def are_over(self) -> bool:
        return not self._queries

    @property
    def series(self) -> str:
        """The series of the markets on the present page; empty when they are of several."""
        return self._queries[0].series

    def parameters(self) -> dict[str, str | int]:
        """Return the parameters of the request for the present page."""
        cursor: dict[str, str | int] = {"cursor": self._cursor} if self._cursor else {}
        return {**self._queries[0].parameters, "limit": LIMIT, **cursor}

    def take(self, page: Page) -> str | None:
        """Take the present page, and go on to the next; return why it is not the page that was asked for, None when it
        is.
        """
        tickers = frozenset(row.ticker for row in page.markets)
        fault = self._fault(page, tickers) if self._cursor else None
        if fault is not None:
            self._begin()
            return fault
        self._failures = 0
        if not page.cursor:
            self._queries.pop(0)
            self._begin()
            return None
        self._first = self._first or tickers
        self._empty = 0 if tickers else self._empty + 1
        self._last, self._cursor = tickers, page.cursor
        return None

    def _fault(self, page: Page, tickers: frozenset[str]) -> str | None:
        begin = "the list begins again"
        if not tickers:
            is_endless = page.cursor and (page.cursor == self._cursor or self._empty >= _MOST_EMPTY)
            return f"empty pages with a cursor do not end; {begin}" if is_endless else None
        for earlier, what in ((self._first, "the first page"), (self._last, "the page before")):
            # While paging, some markets may move on to the next page, and new ones come on the first.
            if 2 * len(tickers & earlier) > len(tickers):
                return f"a cursor was answered with {what} again; {begin}"
        return None

    def failed(self) -> None:
        """Record that the present page has no usable answer. It is asked for again."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._failures = 0
            self._begin()
