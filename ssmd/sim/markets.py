"""Made-up markets and the messages that they publish: the same for the same seed. The time is an argument.

The messages have the fields of https://docs.kalshi.com/asyncapi.yaml, in the order of the real messages. All names
and values are invented.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

from ssmd.sim.book import DOLLAR, Change, Market, Moment, contracts, dollars, uuid

__all__ = ["ACTIONS", "Event", "Markets"]

ACTIONS: dict[str, int] = {"orderbook_delta": 79, "ticker": 15, "trade": 5, "market_lifecycle_v2": 1}
"""How often each event happens, out of 100; Kalshi sends about 16 times as many book changes as trades."""

_STAGES = ("activated", "close_date_updated", "determined", "settled")


class Event(NamedTuple):
    """One message, without its envelope, as every subscriber of its channel gets it."""

    channel: str
    type: str
    ticker: str | None
    """The market that a subscription's filter is compared with; None reaches every subscriber."""
    msg: str
    """JSON."""
    yes_msg: str
    """The same for subscriptions with `use_yes_price`; it differs only for the NO side of a book."""


class Markets:
    """A small exchange: `count` markets from the start, and one more for every other ticker that is asked for."""

    def __init__(self, seed: int, count: int = 8) -> None:
        self._seed = seed
        # Nothing secret is made with it.
        self._rng = Random(seed)  # nosec B311
        self._markets: dict[str, Market] = {}
        self._short_lived: list[tuple[str, int]] = []
        self._created = 0
        for i in range(count):
            # The last one has a smaller tick, because clients must not rely on whole cents.
            self._add(f"KXSIM-{chr(ord('A') + i)}", 10 if i == count - 1 else 100)

    @property
    def tickers(self) -> list[str]:
        return list(self._markets)

    def market(self, ticker: str) -> Market:
        """Return the market of that name; a new one if there is none, so that every subscription gets data."""
        return self._markets.get(ticker) or self._add(ticker, 100)

    def by_id(self, market_id: str) -> str | None:
        """Return the ticker of the market with that id; None when there is none."""
        return next((m.ticker for m in self._markets.values() if m.id == market_id), None)

    def _add(self, ticker: str, tick: int) -> Market:
        # With its own seed, a market's first book does not depend on what happened before.
        market = self._markets[ticker] = Market(ticker, Random(f"{self._seed}/{ticker}"), tick)  # nosec B311
        return market

    def step(self, pool: Sequence[str], actions: Sequence[str], when: Moment) -> Iterable[Event]:
        """Make one event happen, of a kind in `actions`, in a market of `pool`. A trade also changes the book.

        Returns the messages that it causes.
        """
        action = actions[int(self._rng.random() * len(actions))]
        if action == "market_lifecycle_v2" or not pool:
            return self._lifecycle(when)
        market = self.market(pool[int(self._rng.random() * len(pool))])
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

    def snapshot(self, market: Market) -> Event:
        """Return the whole book: levels from the worst to the best, and no field for a side that is empty."""

        def render(yes_price: bool) -> str:
            msg: dict[str, Any] = {"market_ticker": market.ticker, "market_id": market.id}
            for side, levels in market.sides.items():
                if levels:
                    # The real order of the NO side in yes prices is not documented. Here the best stays last.
                    shown = [(DOLLAR - p if yes_price and side == "no" else p, levels[p]) for p in sorted(levels)]
                    msg[f"{side}_dollars_fp"] = [[dollars(price), contracts(size)] for price, size in shown]
            return _compact(msg)

        return Event("orderbook_delta", "orderbook_snapshot", market.ticker, render(False), render(True))

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
        return (_announce("market_lifecycle_v2", msg | {"event_type": name}),)

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
        return _announce("event_lifecycle", series), _announce("market_lifecycle_v2", market)


def _delta(market: Market, change: Change, when: Moment) -> Event:
    head = f'{{"market_ticker":{market.quoted},"market_id":"{market.id}","price_dollars":"'
    tail = f'","delta_fp":"{contracts(change.amount)}","side":"{change.side}","ts":"{when.text}","ts_ms":{when.ms}}}'
    msg = f"{head}{dollars(change.price)}{tail}"
    yes_msg = f"{head}{dollars(DOLLAR - change.price)}{tail}" if change.side == "no" else msg
    return Event("orderbook_delta", "orderbook_delta", market.ticker, msg, yes_msg)


def _announce(kind: str, msg: dict[str, Any]) -> Event:
    text = _compact(msg)
    return Event("market_lifecycle_v2", kind, None, text, text)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
