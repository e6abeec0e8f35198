"""Made-up markets and the messages that they publish: the same for the same seed. The time is an argument.

The messages have the fields of https://docs.kalshi.com/asyncapi.yaml, in the order of the real messages. All names
and values are invented.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from ssmd.sim.book import DOLLAR, Change, Market, Moment, contracts, dollars, uuid
from ssmd.sim.event import LIFECYCLE, Event
from ssmd.sim.universe import FIXED, Universe

__all__ = ["ACTIONS", "Markets"]

ACTIONS: dict[str, int] = {"orderbook_delta": 79, "ticker": 15, "trade": 5, LIFECYCLE: 1}
"""How often each event happens, out of 100; Kalshi sends about 16 times as many book changes as trades."""

_STAGES = ("activated", "close_date_updated", "determined", "settled")


class Markets:
    """What one client gets of the markets of a universe, and of one more for every other ticker that is asked for."""

    def __init__(self, seed: int, universe: Universe | None = None) -> None:
        self.universe = universe or Universe(seed)
        self._seed = seed
        # Nothing secret is made with it.
        self._rng = Random(seed)  # nosec B311
        self._markets: dict[str, Market] = {}
        self._others: list[str] = []
        self._short_lived: list[tuple[str, int]] = []
        self._created = 0
        for ticker in FIXED:
            # The last one has a smaller tick, because clients must not rely on whole cents.
            self._add(ticker, tick=10 if ticker == FIXED[-1] else 100)

    @property
    def tickers(self) -> list[str]:
        """The markets that are open, and those that were asked for."""
        return [*self.universe.open.open, *self._others]

    def market(self, ticker: str) -> Market:
        """Return the market of that name; a new one if there is none, so that every subscription gets data."""
        return self._markets.get(ticker) or self._ask_for(ticker)

    def by_id(self, market_id: str) -> str | None:
        """Return the ticker of the market with that id, None when there is none of those that the client got."""
        return next((m.ticker for m in self._markets.values() if m.id == market_id), None)

    def begin(self, ticker: str) -> None:
        """Let a market open for a client that has its empty book."""
        if ticker not in self._markets:
            self._add(ticker, orders=0)

    def forget(self, ticker: str) -> None:
        """Remove what a market had when it closed."""
        self._markets.pop(ticker, None)

    def _ask_for(self, ticker: str) -> Market:
        if ticker in self.universe.markets:
            return self._add(ticker, orders=2)
        self._others.append(ticker)
        return self._add(ticker)

    def _add(self, ticker: str, tick: int = 100, orders: int = 8) -> Market:
        market = self._markets[ticker] = Market(ticker, self._random_of(ticker), tick, orders)
        return market

    def _random_of(self, ticker: str) -> Random:
        # With its own seed, a market's first book does not depend on what happened before.
        return Random(f"{self._seed}/{ticker}")  # nosec B311

    def pick(self, choices: Sequence[str]) -> str:
        """Choose one."""
        return choices[int(self._rng.random() * len(choices))]

    def pick_any(self) -> str:
        """Choose one of all markets."""
        place = int(self._rng.random() * (len(self.universe.open.open) + len(self._others)))
        others = place - len(self.universe.open.open)
        return self._others[others] if others >= 0 else self.universe.open.open[place]

    def step(self, pool: Sequence[str], actions: Sequence[str], when: Moment) -> Iterable[Event]:
        """Make one event happen, of a kind in `actions`, in a market of `pool`. Returns the messages that it causes."""
        action = self.pick(actions)
        return self.happen(action, "" if action == LIFECYCLE or not pool else self.pick(pool), when)

    def happen(self, action: str, ticker: str, when: Moment) -> Iterable[Event]:
        """Make one event happen in a market; without a ticker something in the life of another one. A trade also
        changes the book. Returns the messages that it causes.
        """
        if not ticker:
            return self._lifecycle(when)
        market = self.market(ticker)
        if action == "ticker":
            return (self.ticker(market, when),)
        if action == "trade":
            trade = market.trade(self._rng)
            if trade is not None:
                no_price = DOLLAR - trade.yes_price
                msg = (
                    f'{{"trade_id":"{uuid(self._rng)}","market_ticker":{market.quoted},'
                    f'"yes_price_dollars":"{dollars(trade.yes_price)}","no_price_dollars":"{dollars(no_price)}",'
                    f'"count_fp":"{contracts(trade.size)}","taker_side":"{trade.taker}",'
                    f'"taker_outcome_side":"{trade.taker}",'
                    f'"taker_book_side":"{"bid" if trade.taker == "yes" else "ask"}","is_block_trade":false,'
                    f'"ts":{when.seconds},"ts_ms":{when.ms}}}'
                )
                return Event("trade", "trade", market.ticker, msg, msg), _delta(market, trade.change, when)
        return (_delta(market, market.change(self._rng), when),)

    def ticker(self, market: Market, when: Moment) -> Event:
        """Return a market's summary; an empty side has a bid of 0 or an ask of 1, with size 0, as on the real feed."""
        yes, no = market.best("yes"), market.best("no")
        msg = (
            f'{{"market_id":"{market.id}","market_ticker":{market.quoted},'
            f'"price_dollars":"{dollars(market.last_price)}","yes_bid_dollars":"{dollars(yes)}",'
            f'"yes_ask_dollars":"{dollars(DOLLAR - no)}","volume_fp":"{contracts(market.volume)}",'
            f'"open_interest_fp":"{contracts(market.open_interest)}","dollar_volume":{market.volume // 200},'
            f'"dollar_open_interest":{market.open_interest // 200},'
            f'"yes_bid_size_fp":"{contracts(market.sides["yes"].get(yes, 0))}",'
            f'"yes_ask_size_fp":"{contracts(market.sides["no"].get(no, 0))}",'
            f'"last_trade_size_fp":"{contracts(market.last_size)}",'
            f'"ts":{when.seconds},"ts_ms":{when.ms},"time":"{when.text}"}}'
        )
        return Event("ticker", "ticker", market.ticker, msg, msg)

    def snapshot_of(self, ticker: str) -> Event:
        """Return the book of a market as it is now: empty when the market is not open."""
        if ticker in self._markets or self.universe.is_open(ticker):
            return self.snapshot(self.market(ticker))
        # The first thing that a market takes from its random numbers is its id.
        msg = f'{{"market_ticker":{json.dumps(ticker)},"market_id":"{uuid(self._random_of(ticker))}"}}'
        return Event("orderbook_delta", "orderbook_snapshot", ticker, msg, msg)

    def snapshot(self, market: Market) -> Event:
        """Return the whole book: levels from the worst to the best, and no field for a side that is empty."""
        head = f'{{"market_ticker":{market.quoted},"market_id":"{market.id}"'
        yes, no = _side(market, "yes", yes_price=False), _side(market, "no", yes_price=False)
        msg, yes_msg = f"{head}{yes}{no}}}", f"{head}{yes}{_side(market, 'no', yes_price=True)}}}"
        return Event("orderbook_delta", "orderbook_snapshot", market.ticker, msg, yes_msg)

    def _lifecycle(self, when: Moment) -> Iterable[Event]:
        """Open a short-lived market, or move the one that has waited longest to its next stage."""
        if len(self._short_lived) < 3 and self._rng.random() < 0.4:
            return self._create(when)
        if not self._short_lived:
            return self._create(when)
        ticker, stage = self._short_lived.pop(0)
        name = _STAGES[stage]
        msg: dict[str, Any] = {"market_ticker": ticker}
        if name == "close_date_updated":
            msg["close_ts"] = when.seconds + 60
        elif name == "determined":
            won = self._rng.random() < 0.5
            msg |= {
                "determination_ts": when.seconds,
                "result": "yes" if won else "no",
                "settlement_value": "1.0000" if won else "0.0000",
            }
        elif name == "settled":
            msg["settled_ts"] = when.seconds
        if stage + 1 < len(_STAGES):
            self._short_lived.append((ticker, stage + 1))
        return (_announce(LIFECYCLE, msg | {"event_type": name}),)

    def _create(self, when: Moment) -> Iterable[Event]:
        self._created += 1
        event = f"KXSIMQUICK-{self._created:04d}"
        ticker = f"{event}-Y"
        self._short_lived.append((ticker, 0))
        title = f"Will simulated question {self._created} end in yes?"
        series = {
            "event_ticker": event,
            "exchange_index": 0,
            "title": title,
            "subtitle": "",
            "collateral_return_type": "",
            "series_ticker": "KXSIMQUICK",
        }
        market = {
            "market_ticker": ticker,
            "exchange_index": 0,
            "open_ts": when.seconds,
            "close_ts": when.seconds + 300,
            "price_level_structure": "linear_cent",
            "additional_metadata": {
                "name": title,
                "title": title,
                "yes_sub_title": "Yes",
                "no_sub_title": "No",
                "rules_primary": "The simulator tosses a seeded coin.",
                "rules_secondary": "",
                "can_close_early": True,
                "event_ticker": event,
                "expected_expiration_ts": when.seconds + 360,
            },
            "event_type": "created",
        }
        return _announce("event_lifecycle", series), _announce(LIFECYCLE, market)


def _side(market: Market, side: str, *, yes_price: bool) -> str:
    """Return the field of a snapshot for one side; the empty text for an empty one."""
    levels = market.sides[side]
    if not levels:
        return ""
    # The real order of the NO side in yes prices is not documented. Here the best stays last.
    mirrored = yes_price and side == "no"
    pairs = [f'["{dollars(DOLLAR - p if mirrored else p)}","{contracts(levels[p])}"]' for p in sorted(levels)]
    return f',"{side}_dollars_fp":[{",".join(pairs)}]'


def _delta(market: Market, change: Change, when: Moment) -> Event:
    head = f'{{"market_ticker":{market.quoted},"market_id":"{market.id}","price_dollars":"'
    tail = f'","delta_fp":"{contracts(change.amount)}","side":"{change.side}","ts":"{when.text}","ts_ms":{when.ms}}}'
    msg = f"{head}{dollars(change.price)}{tail}"
    yes_msg = f"{head}{dollars(DOLLAR - change.price)}{tail}" if change.side == "no" else msg
    return Event("orderbook_delta", "orderbook_delta", market.ticker, msg, yes_msg)


def _announce(kind: str, msg: dict[str, Any]) -> Event:
    text = _compact(msg)
    return Event(LIFECYCLE, kind, None, text, text)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
