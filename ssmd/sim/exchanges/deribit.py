"""Deribit, version 2. Its rules, by https://docs.deribit.com, public/set_heartbeat, public/subscribe, and the channels:

- `result` lists the channels that were accepted; unknown ones are left out. `raw` needs an account.
- After public/set_heartbeat a `test_request` comes at each interval, of 10 seconds or more. Without public/test within
  10 seconds the connection is closed with 4000.
- A connection on which neither side sends anything ends after a minute.
- More than about 3.3 calls a second are refused, and so are more than 500 channels in one call.
- Each change of a book names the one before in `prev_change_id`.
"""

from __future__ import annotations

import math
import time
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds
from ssmd.sim.limits import Rate

__all__ = ["Deribit"]

_PLATFORM = "platform_state"
_MOST_CHANNELS = 500
_SHORTEST_INTERVAL = 10

_Error = tuple[int, str]
_INVALID_PARAMS: _Error = (-32602, "Invalid params")
_UNKNOWN_METHOD: _Error = (-32601, "Method not found")
_TOO_MANY: _Error = (10028, "too_many_requests")
_NO_RAW: _Error = (13778, "raw_subscriptions_not_available_for_unauthorized")


class Deribit(Rules):
    """One connection to Deribit."""

    path = "/ws/api/v2"
    markets = named("{}-PERPETUAL")
    channels: ClassVar = {"book": 12, "trades": 3, "ticker": 2, _PLATFORM: 0}

    def opened(self) -> None:
        self._calls = Rate(10, 3)
        self._idle = self.timer(60, self.end)
        self._heartbeat = self.timer(60, self._beat)
        self._unanswered = self.timer(10, lambda: self.end(4000, "heartbeat close"))
        self._heartbeat.stop()
        self._unanswered.stop()
        self._wants_platform = False

    def received(self, message: Any) -> None:
        self._idle.restart()
        began = time.time_ns() // 1000
        match message:
            case _ if not self._calls.allows(self.now_ns()):
                self._fail(message, _TOO_MANY)
            case {"method": "public/test"}:
                self._unanswered.stop()
                self._answer(message, began, result={"version": "1.2.26"})
            case {"method": "public/set_heartbeat", "params": {"interval": int(seconds)}} if (
                seconds >= _SHORTEST_INTERVAL
            ):
                self._heartbeat.seconds = seconds
                self._heartbeat.restart()
                self._answer(message, began, result="ok")
            case {"method": "public/subscribe", "params": {"channels": [*names]}} if len(names) <= _MOST_CHANNELS:
                self._subscribe(message, began, [str(name) for name in names])
            case {"method": "public/set_heartbeat" | "public/subscribe"}:
                self._fail(message, _INVALID_PARAMS)
            case _:
                self._fail(message, _UNKNOWN_METHOD)

    def event(self, subscription: Subscription) -> None:
        market = subscription.market
        match subscription.channel:
            case "book":
                self._publish(subscription.topic, self._change(subscription))
            case "trades":
                self._publish(subscription.topic, [_trade(market)])
            case "ticker":
                self._publish(subscription.topic, _ticker(market))

    def notice(self) -> None:
        """Report the maintenance that ends all connections, to those that have asked for it."""
        if self._wants_platform:
            self._publish(_PLATFORM, {"maintenance": True})
        self.timer(1, self.end)

    def sent(self) -> None:
        self._idle.restart()

    def _subscribe(self, message: dict[str, Any], began: int, names: list[str]) -> None:
        if any(name.endswith(".raw") for name in names):
            self._fail(message, _NO_RAW)
            return
        accepted = [name for name in names if self._offers(name)]
        self._answer(message, began, result=accepted)
        for name in accepted:
            kind, _, rest = name.partition(".")
            if kind == _PLATFORM:
                self._wants_platform = True
                continue
            new = self.subscribe(kind, rest.partition(".")[0], topic=name)
            if kind == "book":
                self._publish(name, self._snapshot(new))

    def _offers(self, name: str) -> bool:
        match name.split("."):
            case [kind, market, "100ms" | "agg2"]:
                return self.offers(kind) and market in self.markets
            case kind:
                return kind == [_PLATFORM] and self.offers(_PLATFORM)

    def _beat(self) -> None:
        for kind in ("heartbeat", "test_request"):
            self.send({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}})
        if math.isinf(self._unanswered.at):
            self._unanswered.restart()

    def _publish(self, channel: str, data: Any) -> None:
        self.send({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})

    def _answer(self, message: Any, began: int, **fields: Any) -> None:
        asked = {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}
        ended = time.time_ns() // 1000
        times = {"usIn": began, "usOut": ended, "usDiff": ended - began, "testnet": False}
        self.send({"jsonrpc": "2.0", **asked, **fields, **times})

    def _fail(self, message: Any, error: _Error) -> None:
        code, text = error
        self._answer(message, time.time_ns() // 1000, error={"message": text, "code": code})

    def _snapshot(self, subscription: Subscription) -> dict[str, Any]:
        subscription.number = self.random.randrange(10**10, 10**11)
        sides = _sides(subscription.market, Levels([], []), subscription.view.snapshot())
        return {"type": "snapshot", **_head(subscription.market), "change_id": subscription.number, **sides}

    def _change(self, subscription: Subscription) -> dict[str, Any]:
        before, subscription.number = subscription.number, subscription.number + self.random.randint(1, 40)
        sides = _sides(subscription.market, subscription.view.known, subscription.view.update())
        numbers = {"prev_change_id": before, "change_id": subscription.number}
        return {"type": "change", **_head(subscription.market), **numbers, **sides}


def _head(market: Market) -> dict[str, Any]:
    return {"timestamp": milliseconds(), "instrument_name": market.name}


def _sides(market: Market, known: Levels, levels: Levels) -> dict[str, list[list[Any]]]:
    """Return levels of a book for a client that has the `known` ones: each with what happens to it."""

    def changes(known: list[tuple[int, int]], side: list[tuple[int, int]]) -> list[list[Any]]:
        prices = dict(known)
        actions = ["delete" if not size else "change" if price in prices else "new" for price, size in side]
        numbers = [[float(market.price(price)), float(market.size(size))] for price, size in side]
        return [[action, *each] for action, each in zip(actions, numbers, strict=True)]

    return {"bids": changes(known.bids, levels.bids), "asks": changes(known.asks, levels.asks)}


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    price = float(market.price(trade.price))
    return {
        "trade_seq": trade.id,
        "trade_id": f"{market.name.partition('-')[0]}-{trade.id}",
        **_head(market),
        "tick_direction": 0,
        "price": price,
        "mark_price": price,
        "index_price": price,
        "direction": "buy" if trade.bought else "sell",
        "amount": float(market.size(trade.size)),
    }


def _ticker(market: Market) -> dict[str, Any]:
    best = market.book(1)
    (bid, bid_size), (ask, ask_size) = best.bids[0], best.asks[0]
    ticks = {"best_bid_price": bid, "best_ask_price": ask, "last_price": market.last, "mark_price": market.last}
    prices = {name: float(market.price(value)) for name, value in ticks.items()}
    sizes = {"best_bid_amount": float(market.size(bid_size)), "best_ask_amount": float(market.size(ask_size))}
    return {**_head(market), "state": "open", **prices, **sizes, "open_interest": float(market.size(market.volume))}
