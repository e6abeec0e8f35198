"""One made-up binary market: a two-sided book that is never negative and never crossed.

Prices are integers in 1/10000 of a dollar and sizes integers in 1/100 of a contract, which is the precision of
the `_dollars` and `_fp` fields in https://docs.kalshi.com/asyncapi.yaml. A book holds bids only: a bid for
NO at p is an offer of YES at 1 - p, so the market is crossed when best yes + best no reaches one dollar.
"""

from __future__ import annotations

import json
import time
from random import Random
from typing import NamedTuple

__all__ = ["DOLLAR", "Change", "Market", "Moment", "Trade", "contracts", "dollars", "moment", "uuid"]

DOLLAR = 10_000

# A believable depth: Kalshi's busy books show 10 to 30 levels a side.
_FEWEST, _MOST = 4, 24


class Moment(NamedTuple):
    """One point in time in the three forms that Kalshi's messages carry it in."""

    seconds: int
    ms: int
    text: str


def moment(ns: int) -> Moment:
    """The time of `ns` nanoseconds since the epoch; its text has no trailing zeros, as in real messages."""
    seconds, micros = divmod(ns // 1000, 1_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    if micros:
        text = f"{text}.{micros:06d}".rstrip("0")
    return Moment(seconds, ns // 1_000_000, text + "Z")


def dollars(price: int) -> str:
    return f"{price // DOLLAR}.{price % DOLLAR:04d}"


def contracts(size: int) -> str:
    sign = "-" if size < 0 else ""
    size = abs(size)
    return f"{sign}{size // 100}.{size % 100:02d}"


def uuid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Change(NamedTuple):
    """A level of one side has changed by `amount`, which is never 0."""

    side: str
    price: int
    amount: int


class Trade(NamedTuple):
    """A taker has bought `size` of its side from a bid on the other one; `change` is what that took away."""

    taker: str
    yes_price: int
    size: int
    change: Change


class Market:
    """The book of one market, its last trade and its totals; all randomness comes from the caller's `rng`."""

    def __init__(self, ticker: str, rng: Random, tick: int = 100) -> None:
        self.ticker = ticker
        self.quoted = json.dumps(ticker)
        self.id = uuid(rng)
        self.tick = tick
        self.fair = rng.randrange(1500, 8500) // tick * tick
        self.sides: dict[str, dict[int, int]] = {"yes": {}, "no": {}}
        for side in ("yes", "no"):
            for _ in range(8):
                self._place(side, rng)
        self.last_price = self.fair
        self.last_size = 100
        self.volume = rng.randrange(1_000, 500_000) * 100
        self.open_interest = self.volume // 2

    def best(self, side: str) -> int:
        """The best bid of a side; 0 when it is empty."""
        return max(self.sides[side], default=0)

    def change(self, rng: Random) -> Change:
        """Let somebody place, reduce or cancel an order."""
        side = "yes" if rng.random() < 0.5 else "no"
        levels = self.sides[side]
        if len(levels) < _FEWEST or (len(levels) < _MOST and rng.random() < 0.52):
            placed = self._place(side, rng)
            if placed is not None:
                return placed
        if not levels:
            # The other side has taken all the room up to one dollar, so that nothing fits here: it recedes.
            side = "no" if side == "yes" else "yes"
            levels = self.sides[side]
        price = list(levels)[int(rng.random() * len(levels))]
        size = levels[price]
        part = size // 200 * 100
        return self._apply(side, price, -part if part and rng.random() < 0.4 else -size)

    def trade(self, rng: Random) -> Trade | None:
        """Let somebody take from the best bid of one side; None when there is none."""
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
        """Add to a level near the fair price without ever crossing; None where no price is left."""
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
    # About one order in six is fractional; most of the whole ones are small.
    if rng.random() < 0.16:
        return 1 + int(rng.random() * 50_000)
    return 100 * (1 + int(rng.expovariate(0.02)))
