"""Bitstamp, version 2. Its rules, by https://www.bitstamp.net/websocket/v2/:

- A message subscribes to one channel, whose name ends in the market: live_trades_btcusd. It is confirmed with
  `bts:subscription_succeeded`, or refused with `bts:error`.
- `bts:request_reconnect` asks the client to connect again; a few seconds later the connection is closed.
- `bts:heartbeat` of the client is answered. A connection lives 90 days at most.
- The published rules name neither a time after which a quiet connection is cut nor a close code, and the messages have
  no sequence numbers.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, pairs

__all__ = ["Bitstamp"]

_RECONNECT_SECONDS = 5
_LONGEST_SECONDS = 90 * 24 * 3600
_DEPTH = 100


class Bitstamp(Rules):
    """One connection to Bitstamp."""

    path = "/"
    markets: ClassVar = {name.lower(): coin for name, coin in named("{}{}", "USD", "EUR").items()}
    channels: ClassVar = {"live_trades": 3, "order_book": 4, "diff_order_book": 12}

    def opened(self) -> None:
        self.timer(_LONGEST_SECONDS, self.end)

    def received(self, message: Any) -> None:
        match message:
            case {"event": "bts:heartbeat"}:
                self._send("bts:heartbeat", "", {"status": "success"})
            case {"event": "bts:subscribe", "data": {"channel": str(topic)}}:
                self._subscribe(topic)
            case {"event": "bts:unsubscribe", "data": {"channel": str(topic)}}:
                channel, _, _ = topic.rpartition("_")
                self.subscriptions.pop((channel, topic), None)
                self._send("bts:unsubscription_succeeded", topic, {})
            case _:
                self._refuse("Incorrect JSON format.")

    def event(self, subscription: Subscription) -> None:
        match subscription.channel:
            case "live_trades":
                self._send("trade", subscription.topic, _trade(subscription.market))
            case "order_book":
                subscription.view.update()
                self._send("data", subscription.topic, _book(subscription.market, subscription.view.known))
            case "diff_order_book":
                self._send("data", subscription.topic, _book(subscription.market, subscription.view.update()))

    def notice(self) -> None:
        """Ask the client to connect again."""
        self._send("bts:request_reconnect", "", "")
        self.timer(_RECONNECT_SECONDS, self.end)

    def _subscribe(self, topic: str) -> None:
        channel, _, market = topic.rpartition("_")
        if not self.offers(channel) or market not in self.markets:
            self._refuse("Bad subscription string.")
            return
        self.subscribe(channel, market, topic, _DEPTH if channel == "order_book" else None)
        self._send("bts:subscription_succeeded", topic, {})

    def _refuse(self, text: str) -> None:
        self._send("bts:error", "", {"code": None, "message": text})

    def _send(self, event: str, topic: str, data: Any) -> None:
        self.send({"event": event, "channel": topic, "data": data})


def _times() -> dict[str, str]:
    now = time.time_ns() // 1000
    return {"timestamp": str(now // 1_000_000), "microtimestamp": str(now)}


def _book(market: Market, levels: Levels) -> dict[str, Any]:
    return {**_times(), "bids": pairs(levels.bids, market), "asks": pairs(levels.asks, market)}


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    price, amount = market.price(trade.price), market.size(trade.size)
    numbers = {"amount": float(amount), "amount_str": amount, "price": float(price), "price_str": price}
    return {"id": trade.id, **_times(), **numbers, "type": 0 if trade.bought else 1}
