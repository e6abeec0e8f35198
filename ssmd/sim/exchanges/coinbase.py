"""Coinbase Advanced Trade.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview

- The first subscription must come within 5 s, and a client may send 8 messages in a second without a key.
- A message subscribes to one channel. Each is answered with all that is subscribed to. What refuses it is not
  published: clients report `{"type": "error", "message": ...}`.
- A connection on which nothing was sent for 60 to 90 s is closed, here after 60. The channel `heartbeats` sends once a
  second, and keeps it open. The close code is not published; here the TCP connection ends.
- A client may connect 8 times in a second.
- `sequence_num` counts the messages of the connection, whatever their channel, from 0. (The documentation says "per
  product"; clients report this.)
- What the channel `level2` sends comes as `l2_data`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, rfc3339
from ssmd.sim.limits import Rate

__all__ = ["Coinbase"]


class Coinbase(Rules):
    """One connection to Coinbase."""

    path = "/"
    markets = named("{}-{}", "USD", "USDC")
    channels: ClassVar = {"level2": 12, "market_trades": 3, "ticker": 2, "heartbeats": 0}
    connects = (8, 1)

    def opened(self) -> None:
        self._number = 0
        self._beats = 0
        self._rate = Rate(8, 1)
        self._deadline = self.timer(5, self.end)
        self._quiet = self.timer(60, self.end)
        self._heartbeat = self.timer(1, self._beat)

    def received(self, message: Any) -> None:
        if not self._rate.allows(self.now_ns()):
            self.send({"type": "error", "message": "rate limit exceeded"})
            return self.end()
        match message:
            case {"type": "subscribe" | "unsubscribe" as verb, "channel": str(channel)} if self.offers(channel):
                products = message.get("product_ids", [])
                if channel == "heartbeats":
                    products = list(self.markets)[:1]
                if unknown := [each for each in products if each not in self.markets]:
                    return self._refuse(f"Failed to {verb}: invalid product_ids {unknown}")
                self._change(verb, channel, products)
            case {"type": "subscribe" | "unsubscribe" as verb}:
                self._refuse(f"Failed to {verb}: invalid channel {message.get('channel')}")
            case _:
                self._refuse("failure to parse message")
        return None

    def event(self, subscription: Subscription) -> None:
        market = subscription.market
        match subscription.channel:
            case "level2":
                self._send_data("l2_data", _book(market, "update", subscription.view.update()))
            case "market_trades":
                self._send_data("market_trades", {"type": "update", "trades": [_trade(market)]})
            case "ticker":
                self._send_data("ticker", {"type": "update", "tickers": [_ticker(market)]})
            case _:
                self._beat()

    def sent(self) -> None:
        self._quiet.restart()

    def _change(self, verb: str, channel: str, products: list[str]) -> None:
        self._deadline.stop()
        new = [each for each in products if (channel, each) not in self.subscriptions]
        for product in products if verb == "unsubscribe" else ():
            self.subscriptions.pop((channel, product), None)
        added = [self.subscribe(channel, each) for each in new] if verb == "subscribe" else []
        subscribed: dict[str, list[str]] = {}
        for name, product in self.subscriptions:
            subscribed.setdefault(name, []).append("heartbeats" if name == "heartbeats" else product)
        self._send_data("subscriptions", {"subscriptions": subscribed})
        for subscription in added:
            market = subscription.market
            match channel:
                case "level2":
                    self._send_data("l2_data", _book(market, "snapshot", subscription.view.snapshot()))
                case "market_trades":
                    self._send_data(channel, {"type": "snapshot", "trades": [_trade(market) for _ in range(3)]})
                case "ticker":
                    self._send_data(channel, {"type": "snapshot", "tickers": [_ticker(market)]})

    def _send_data(self, channel: str, event: dict[str, Any]) -> None:
        head = {"channel": channel, "client_id": "", "timestamp": rfc3339(), "sequence_num": self._number}
        self._number += 1
        self.send({**head, "events": [event]})

    def _refuse(self, text: str) -> None:
        self.send({"type": "error", "message": text})

    def _beat(self) -> None:
        if any(channel == "heartbeats" for channel, _ in self.subscriptions):
            self._beats += 1
            self._send_data("heartbeats", {"current_time": rfc3339(), "heartbeat_counter": str(self._beats)})


def _book(market: Market, kind: str, levels: Levels) -> dict[str, Any]:
    now = rfc3339()
    updates = [
        {"side": side, "event_time": now, "price_level": market.price(price), "new_quantity": market.size(size)}
        for side, changed in (("bid", levels.bids), ("offer", levels.asks))
        for price, size in changed
    ]
    return {"type": kind, "product_id": market.name, "updates": updates}


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    return {
        "trade_id": str(trade.id),
        "product_id": market.name,
        "price": market.price(trade.price),
        "size": market.size(trade.size),
        "side": "SELL" if trade.bought else "BUY",  # That of the maker.
        "time": rfc3339(),
    }


def _ticker(market: Market) -> dict[str, Any]:
    best = market.book(1)
    (bid, bid_size), (ask, ask_size) = best.bids[0], best.asks[0]
    prices = {"price": market.last, "low_24_h": market.low, "high_24_h": market.high, "best_bid": bid, "best_ask": ask}
    sizes = {"volume_24_h": market.volume, "best_bid_quantity": bid_size, "best_ask_quantity": ask_size}
    texts = {name: market.price(value) for name, value in prices.items()}
    texts |= {name: market.size(value) for name, value in sizes.items()}
    return {"type": "ticker", "product_id": market.name, **texts}
