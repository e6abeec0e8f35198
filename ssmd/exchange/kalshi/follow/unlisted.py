"""Which names in `follow` have no market in a whole listing, because they are misspelt for example. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from ssmd.exchange.kalshi.follow.answers import Row
from ssmd.exchange.kalshi.follow.section import WILDCARD, Follow

__all__ = ["Unlisted"]


class Unlisted:
    """Call begin() when a whole listing begins, see() for each of its markets, and end() when it is complete."""

    def __init__(self, follows: Iterable[Follow]) -> None:
        self._follows = list(follows)
        self.names: tuple[str, ...] = ()
        """Those of the last whole listing, each with what it is, as in `series KXBTC`; empty before the first."""
        self.begin()

    def begin(self) -> None:
        self._series = set().union(*(follow.series for follow in self._follows))
        self._events = set().union(*(follow.events for follow in self._follows))
        self._tickers = {ticker for follow in self._follows for ticker in follow.tickers if WILDCARD not in ticker}
        self._patterns = {pattern for follow in self._follows for pattern in follow.patterns}

    def see(self, row: Row, series: str) -> None:
        """Take a market of the listing; `series` is empty when it is not known."""
        self._series.discard(series)
        self._events.discard(row.event_ticker)
        self._tickers.discard(row.ticker)
        if self._patterns:
            self._patterns = {pattern for pattern in self._patterns if not fnmatchcase(row.ticker, pattern)}

    def end(self) -> None:
        left = {"series": self._series, "event": self._events, "ticker": self._tickers | self._patterns}
        self.names = tuple(f"{what} {name}" for what, names in left.items() for name in sorted(names))
