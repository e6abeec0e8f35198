"""One made-up binary market: a two-sided book that is never negative and never crossed.

Prices are integers in 1/10000 of a dollar, and sizes are integers in 1/100 of a contract: the precision of the
`_dollars` and `_fp` fields in https://docs.kalshi.com/asyncapi.yaml. A book holds bids only: a bid for NO at p is an
offer of YES at 1 - p. So the book is crossed when the best YES bid and the best NO bid add up to one dollar or more.
"""

from __future__ import annotations

import json
import time
from random import Random
from typing import NamedTuple

__all__ = ["DOLLAR", "Change", "Market", "Moment", "Trade", "contracts", "dollars", "moment", "uuid"]

DOLLAR = 10_000

# Levels a side; Kalshi's busy books show 10 to 30.
_FEWEST, _MOST = 4, 24


class Moment(NamedTuple):
    """One point in time, in the three forms of Kalshi's messages: Unix seconds, Unix milliseconds, and ISO 8601."""

    seconds: int
    ms: int
    text: str


def moment(ns: int) -> Moment:
    """Return the time of `ns` nanoseconds since the epoch; its text has no trailing zeros, as in real messages."""
    seconds, micros = divmod(ns // 1000, 1_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    if micros:
        text = f"{text}.{micros:06d}".rstrip("0")
    return Moment(seconds, ns // 1_000_000, text + "Z")


def dollars(price: int) -> str:
    """Return a price as the text of a `_dollars` field, such as 0.4900."""
    return f"{price // DOLLAR}.{price % DOLLAR:04d}"


def contracts(size: int) -> str:
    """Return a size, or a change of one, as the text of a `_fp` field, such as -12.50."""
    sign = "-" if size < 0 else ""
    size = abs(size)
    return f"{sign}{size // 100}.{size % 100:02d}"


def uuid(rng: Random) -> str:
    """Return a UUID of version 4, made from `rng` so that the same seed makes the same one."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Change(NamedTuple):
    """A change of one level of one side by `amount`, which is never 0."""

    side: str
    price: int
    amount: int


class Trade(NamedTuple):
    """A trade: the taker has bought `size` of its side from a bid on the other side; `change` is what that bid lost."""

    taker: str
    yes_price: int
    size: int
    change: Change


class Market:
    """One market: its book, its last trade and its totals. All randomness comes from the caller's `rng`.

    `tick`: the smallest step between two prices. `orders`: how many orders each side has at first; a market without any
    has just opened.
    """

    __slots__ = (
        "fair", "id", "last_price", "last_size", "open_interest", "quoted", "sides", "tick", "ticker", "volume",
    )  # fmt: skip

    def __init__(self, ticker: str, rng: Random, tick: int = 100, orders: int = 8) -> None:
        self.ticker = ticker
        self.quoted = json.dumps(ticker)
        self.id = uuid(rng)
        self.tick = tick
        self.fair = rng.randrange(1500, 8500) // tick * tick
        self.sides: dict[str, dict[int, int]] = {"yes": {}, "no": {}}
        for side in ("yes", "no"):
            for _ in range(orders):
                self._place(side, rng)
        self.last_price = self.fair if orders else 0
        self.last_size = 100 if orders else 0
        self.volume = rng.randrange(1_000, 500_000) * 100 if orders else 0
        self.open_interest = self.volume // 2

    def best(self, side: str) -> int:
        """Return the best bid of a side; 0 when there is none."""
        return max(self.sides[side], default=0)

    def change(self, rng: Random) -> Change:
        """Place, reduce or cancel an order; return what that changed in the book."""
        side = "yes" if rng.random() < 0.5 else "no"
        levels = self.sides[side]
        if len(levels) < _FEWEST or (len(levels) < _MOST and rng.random() < 0.52):
            placed = self._place(side, rng)
            if placed is not None:
                return placed
        if not levels:
            # The bids of the other side leave no price here that would not cross: take one of those away.
            side = "no" if side == "yes" else "yes"
            levels = self.sides[side]
        price = list(levels)[int(rng.random() * len(levels))]
        size = levels[price]
        part = size // 200 * 100
        return self._apply(side, price, -part if part and rng.random() < 0.4 else -size)

    def trade(self, rng: Random) -> Trade | None:
        """Trade against the best bid of one side; return None when that side has no bid."""
        taker, maker = ("yes", "no") if rng.random() < 0.5 else ("no", "yes")
        if not self.sides[maker]:
            return None
        price = self.best(maker)
        count = min(self.sides[maker][price], _size(rng))
        change = self._apply(maker, price, -count)
        self.last_price = price if maker == "yes" else DOLLAR - price
        self.last_size = count
        self.volume += count
        self.open_interest = max(0, self.open_interest + (count if rng.random() < 0.6 else -count))
        return Trade(taker, self.last_price, count, change)

    def _place(self, side: str, rng: Random) -> Change | None:
        """Add to a level near the fair price, without crossing the book; return None when every price would cross."""
        if rng.random() < 0.1:
            self.fair = min(max(self.fair + (self.tick if rng.random() < 0.5 else -self.tick), 200), 9800)
        other = self.best("no" if side == "yes" else "yes")
        highest = DOLLAR - self.tick - other
        anchor = self.fair if side == "yes" else DOLLAR - self.fair
        price = max(min(anchor - self.tick * (1 + int(rng.expovariate(0.25))), highest), self.tick)
        return None if price > highest else self._apply(side, price, _size(rng))

    def _apply(self, side: str, price: int, amount: int) -> Change:
        levels = self.sides[side]
        size = levels.get(price, 0) + amount
        if size:
            levels[price] = size
        else:
            del levels[price]
        return Change(side, price, amount)


def _size(rng: Random) -> int:
    # About one order in six is of a fractional number of contracts; most of the others are small.
    if rng.random() < 0.16:
        return 1 + int(rng.random() * 50_000)
    return 100 * (1 + int(rng.expovariate(0.02)))
