"""One channel of a connection to Kalshi: its markets, and which of them are confirmed and heard from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
        "after", "field", "followed", "is_asked", "is_closed", "is_closing", "is_refused", "is_unopened", "left_out",
        "limit", "markets", "name", "pending", "refused", "section", "sid", "subscription", "takes_tickers", "unheard",
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
        self.is_asked = False
        """Whether a command that opens it after the beginning of the connection has no answer yet."""
        self._begin()

    def _begin(self) -> None:
        self.after: ChannelOfConnection | None = None
        """The channel of the same name that must be closed before this one is opened."""
        self.is_unopened = False
        """Whether it is still to be opened by a command of its own, because it takes no list of tickers."""
        self.is_refused = self.is_closing = self.is_closed = False

    @property
    def is_waiting(self) -> bool:
        """Whether another one is to be closed first. One that was never opened may itself have waited for another."""
        while self.after is not None and self.after.is_closed:
            self.after = self.after.after
        return self.after is not None

    @property
    def has_nothing(self) -> bool:
        """Whether nothing can be asked for now: no market is known, or another channel is to be closed first."""
        return self.is_waiting or self.markets == {}

    def open_after(self, before: ChannelOfConnection | None) -> None:
        """Prepare to be opened on an open connection, in place of another channel of this name."""
        self.after = before
        self.is_unopened = not self.takes_tickers

    def want_all(self, wanted: Iterable[str]) -> None:
        """Ask for all these markets, of which nothing was asked for yet."""
        self.unconfirmed = dict.fromkeys(wanted)
        self.unheard = dict.fromkeys(wanted)
        self.to_add = dict.fromkeys(wanted, 0)

    def found_out(self, named: Collection[str]) -> Iterable[str]:
        """Return the wanted markets that its section does not name."""
        return [market for market in self.markets or () if market not in named]

    def replace(self, wanted: dict[str, None]) -> None:
        """Take another dict of wanted markets in place of the present one, and what differs in it."""
        before = self.markets or {}
        self.markets = wanted
        gone = [market for market in before if market not in wanted]
        self.change([market for market in wanted if market not in before], gone)
        self.ask_aside()

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
