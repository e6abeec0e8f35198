"""Made-up markets of coins: prices that wander, order books that stay right, trades. The same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

__all__ = ["COINS", "Levels", "Market", "Trade", "View", "named"]

COINS: Final[Mapping[str, tuple[float, int]]] = {
    "BTC": (60_000, 1),
    "ETH": (3_000, 2),
    "SOL": (150, 2),
    "XRP": (0.6, 4),
    "ADA": (0.45, 4),
    "DOGE": (0.15, 5),
    "LTC": (80, 2),
    "LINK": (15, 3),
    "DOT": (6, 4),
    "AVAX": (30, 2),
}
"""The first price of each coin in dollars, and the decimals of its prices."""

SIZE_DECIMALS: Final = 4

_LEVELS = 40
"""The most levels that each side of a book has."""


def named(form: str, *quotes: str) -> dict[str, str]:
    """Return the coin of each market name: `named("{}/{}", "USD", "EUR")` begins {"BTC/USD": "BTC", ...}."""
    return {form.format(coin, quote): coin for coin in COINS for quote in quotes or ("",)}


class Levels(NamedTuple):
    """Levels of both sides of a book, the best first: pairs of a price in ticks and a size in lots."""

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]

    def __bool__(self) -> bool:
        return bool(self.bids or self.asks)


class Trade(NamedTuple):
    """A trade; its id goes up by 1 in its market."""

    id: int
    price: int
    size: int
    bought: bool
    """Whether the taker bought."""


class Market:
    """One market. Prices are whole ticks and sizes whole lots; price() and size() write them as decimal numbers."""

    def __init__(self, name: str, coin: str, seed: int) -> None:
        self.name = name
        # Nothing secret is made with it.
        self._random = Random(f"{seed}/{name}")  # nosec B311
        first, self.decimals = COINS[coin]
        self.last = self.open = self.high = self.low = self._middle = round(first * 10**self.decimals)
        self.volume = self._random.randrange(10**6, 10**8)
        self.trades = self._random.randrange(10**6, 10**7)
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        for _ in range(4 * _LEVELS):
            self.step()

    def price(self, ticks: int) -> str:
        return f"{ticks / 10**self.decimals:.{self.decimals}f}"

    @staticmethod
    def size(lots: int) -> str:
        return f"{lots / 10**SIZE_DECIMALS:.{SIZE_DECIMALS}f}"

    def book(self, depth: int | None = None) -> Levels:
        """Return the best levels of each side; all of them for None."""
        bids = sorted(self._bids.items(), reverse=True)
        return Levels(bids[:depth], sorted(self._asks.items())[:depth])

    def has(self, *, bid: bool, price: int) -> bool:
        """Return whether a side of the book has a level at this price."""
        return price in (self._bids if bid else self._asks)

    def step(self) -> None:
        """Let one order come or go; a side never becomes empty, and the sides never cross."""
        rng = self._random
        if rng.random() < 0.1:
            self._middle += rng.choice((-1, 1))
            self._bids = {price: size for price, size in self._bids.items() if price < self._middle}
            self._asks = {price: size for price, size in self._asks.items() if price > self._middle}
        for side, sign in ((self._bids, -1), (self._asks, 1)):
            if not side:
                side[self._middle + sign] = self._lots()
        side, sign = rng.choice(((self._bids, -1), (self._asks, 1)))
        price = self._middle + sign * (1 + min(int(rng.expovariate(0.15)), _LEVELS - 1))
        if price in side and len(side) > 1 and rng.random() < 0.4:
            del side[price]
        else:
            side[price] = self._lots()

    def trade(self) -> Trade:
        """Let an order be filled at the best price, in part; return the trade."""
        bought = self._random.random() < 0.5
        side = self._asks if bought else self._bids
        price = min(side) if bought else max(side)
        size = max(1, side[price] // self._random.randint(2, 5))
        side[price] = max(1, side[price] - size)
        self.last, self.high, self.low = price, max(self.high, price), min(self.low, price)
        self.volume += size
        self.trades += 1
        return Trade(self.trades, price, size, bought)

    def _lots(self) -> int:
        return 1 + int(self._random.expovariate(1 / (2 * 10**SIZE_DECIMALS)))


class View:
    """What a client knows of a market's book: its best `depth` levels, or all of it for None."""

    def __init__(self, market: Market, depth: int | None) -> None:
        self._market = market
        self._depth = depth
        self.known = Levels([], [])
        """The client's levels."""

    def snapshot(self) -> Levels:
        """Return the book, for a client that knows nothing of it."""
        self.known = self._market.book(self._depth)
        return self.known

    def update(self) -> Levels:
        """Let the book change until the client sees it; return what has changed: new sizes, 0 for a level that is gone.

        A level that is worse than `depth` others is not reported: the client drops it itself.
        """
        while True:
            self._market.step()
            before, self.known = self.known, self._market.book(self._depth)
            changes = Levels(
                self._changes(before.bids, self.known.bids, bid=True),
                self._changes(before.asks, self.known.asks, bid=False),
            )
            if changes:
                return changes

    def _changes(
        self, before: list[tuple[int, int]], after: list[tuple[int, int]], *, bid: bool
    ) -> list[tuple[int, int]]:
        old = dict(before)
        gone = [(price, 0) for price in old if not self._market.has(bid=bid, price=price)]
        return gone + [(price, size) for price, size in after if old.get(price) != size]
