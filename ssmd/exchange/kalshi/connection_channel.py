"""One channel of a connection to Kalshi: its markets, and which of them are confirmed and heard from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssmd.exchange.kalshi.changing_markets import ChangingMarkets
from ssmd.exchange.kalshi.errors import KalshiError
from ssmd.exchange.kalshi.section import FOLLOW, markets_of, parameter_of

__all__ = ["ChannelOfConnection"]


class ChannelOfConnection(ChangingMarkets):
    """One channel of a connection.

    The channels of one subscription share the dict of wanted markets, `tickers`. The caller adds markets to it, and
    removes them.
    """

    __slots__ = (
        "field", "followed", "left_out", "limit", "markets", "name", "pending", "refused", "section", "sid",
        "subscription", "takes_tickers", "unheard",
    )

    def __init__(self, name: str, subscription: int, section: Mapping[str, Any], tickers: dict[str, None]) -> None:
        self.name = name
        self.subscription = subscription
        self.section = section
        self.followed = FOLLOW in section
        """Whether its markets are found out."""
        named = markets_of(section, name)
        self.field = named[0] if named else ""
        """The field of `msg` that names a message's market."""
        self.takes_tickers = named is not None and parameter_of(section, name) in ("market_tickers", "market_ticker")
        """Whether it has the markets of `tickers`, which may change."""
        own = dict.fromkeys(named[1]) if named else None
        self.markets = tickers if self.takes_tickers else own
        """The markets that are wanted; None for all."""
        super().__init__(self.markets or ())
        self.unheard: dict[str, None] = dict.fromkeys(self.markets or ())
        self.pending: set[int] = set()
        """The opening commands that Kalshi has not answered yet."""
        self.refused: dict[int, int] = {}
        """The opening commands that Kalshi has refused, each with the number of its markets."""
        self.sid: int | None = None
        """The number of its subscription; None before it is confirmed."""
        self.limit: KalshiError | None = None
        """The error that says that there is a limit, until it is found out how many markets that leaves out."""
        self.left_out = 0
        """How many markets that is, by the last report."""

    def change(self, new: Iterable[str], gone: Iterable[str]) -> None:
        """Take markets that are wanted from now on, and were not before, and those that are not wanted any more."""
        for market in gone:
            self.unheard.pop(market, None)
        self.unheard.update(dict.fromkeys(new))
        self.drop(gone)
        self.want(new)

    def confirm(self, markets: Sequence[str], listed: Sequence[str] | None) -> tuple[Sequence[str], Sequence[str]]:
        """Record that an opening command for these markets is confirmed; return the markets that are confirmed now, and
        those that are not confirmed any more.

        `listed`: all markets of the channel that the answer lists, None when it lists none. Names are compared as they
        are: Kalshi's are case-sensitive.
        """
        gone: Sequence[str] = ()
        if listed is not None:
            names = {*self.unconfirmed, *self.to_remove, *listed}
            gone = [market for market in self.markets or () if market not in names]
            names.intersection_update(listed)
            markets = [*(market for market in self.unconfirmed if market in names), *markets]
        new = self.added(dict.fromkeys(markets), listed)
        self.unconfirmed.update(dict.fromkeys(gone))
        self.set_aside(gone)
        return new, gone

    def set_aside(self, markets: Iterable[str]) -> None:
        if self.takes_tickers:
            super().set_aside(markets)
