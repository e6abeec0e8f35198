"""Bybit, version 5, the public data of the spot market.

https://bybit-exchange.github.io/docs/v5/ws/connect

- A topic is `<channel>.<symbol>`, or `orderbook.<depth>.<symbol>`. A request may have 10 of them, and all of a
  connection 21,000 characters. A request is confirmed as a whole, or refused as a whole.
- A client should send `{"op": "ping"}` every 20 s; the answer is `{"success": true, "ret_msg": "pong", "op": "ping"}`.
  A connection without a request of the client for ten minutes is cut, without a close frame as clients report.
- 500 connections in five minutes are allowed.
- Order books begin with a `snapshot`. `data.u` goes up by one with each message of a topic. The depth 1 has snapshots
  only.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds, pairs

__all__ = ["Bybit"]

_MOST_TOPICS = 10
_MOST_CHARACTERS = 21_000
_IDLE_SECONDS = 600


class Bybit(Rules):
    """One connection to Bybit."""

    path = "/v5/public/spot"
    markets = named("{}{}", "USDT", "USDC")
    channels: ClassVar = {
        "orderbook.1": 4, "orderbook.50": 10, "orderbook.200": 6, "publicTrade": 3, "tickers": 2,
    }  # fmt: skip
    connects = (500, 300)

    def opened(self) -> None:
        self._characters = 0
        self._idle = self.timer(_IDLE_SECONDS, self.end)

    def received(self, message: Any) -> None:
        self._idle.restart()
        match message:
            case {"op": "ping"}:
                self._answer(message, "pong")
            case {"op": "subscribe" | "unsubscribe" as verb, "args": [*topics]}:
                if (fault := self._fault(topics)) is not None:
                    return self._answer(message, fault, success=False)
                new = [each for each in topics if not self._is_subscribed(each)]
                for topic in topics if verb == "unsubscribe" else ():
                    self.subscriptions.pop((_channel(topic), topic), None)
                self._answer(message, verb)
                for topic in new if verb == "subscribe" else ():
                    self._subscribe(topic)
            case _:
                self._answer(message, "Request Params Error", success=False)
        return None

    def event(self, subscription: Subscription) -> None:
        market = subscription.market
        match subscription.channel:
            case "publicTrade":
                self._send_data(subscription, "snapshot", [_trade(market)])
            case "tickers":
                self._send_data(subscription, "snapshot", _ticker(market))
            case "orderbook.1":
                subscription.view.update()
                self._send_book(subscription, "snapshot", subscription.view.snapshot())
            case _:
                self._send_book(subscription, "delta", subscription.view.update())

    def _subscribe(self, topic: str) -> None:
        channel, _, symbol = topic.rpartition(".")
        depth = int(channel.partition(".")[2] or 1)
        subscription = self.subscribe(channel, symbol, topic, depth)
        if channel.startswith("orderbook"):
            subscription.number = self.random.randrange(10**7)
            self._send_book(subscription, "snapshot", subscription.view.snapshot())
        elif channel == "tickers":
            self.event(subscription)

    def _fault(self, topics: list[Any]) -> str | None:
        """Return why a request for these topics is refused; None when it is not."""
        self._characters += len(json.dumps(topics))
        if len(topics) > _MOST_TOPICS or self._characters > _MOST_CHARACTERS:
            return f"args size >{_MOST_TOPICS}" if len(topics) > _MOST_TOPICS else "args too long"
        for topic in topics:
            channel, _, symbol = str(topic).rpartition(".")
            if not self.offers(channel) or symbol not in self.markets:
                return f"Invalid topic: {topic}"
        return None

    def _is_subscribed(self, topic: str) -> bool:
        return (_channel(topic), topic) in self.subscriptions

    def _send_book(self, subscription: Subscription, kind: str, levels: Levels) -> None:
        subscription.number += 1
        market = subscription.market
        sides = {"b": pairs(levels.bids, market), "a": pairs(levels.asks, market)}
        self._send_data(subscription, kind, {"s": market.name, **sides, "u": subscription.number, "seq": market.trades})

    def _send_data(self, subscription: Subscription, kind: str, data: Any) -> None:
        now = milliseconds()
        times = {"ts": now, "cts": now} if subscription.channel.startswith("orderbook") else {"ts": now}
        self.send({"topic": subscription.topic, "type": kind, **times, "data": data})

    def _answer(self, message: Any, text: str, *, success: bool = True) -> None:
        request = message if isinstance(message, dict) else {}
        number = {"req_id": request["req_id"]} if "req_id" in request else {}
        head = {"success": success, "ret_msg": text, "conn_id": self.connection_id}
        self.send({**head, **number, "op": request.get("op", "")})


def _channel(topic: str) -> str:
    return topic.rpartition(".")[0]


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    sizes = {"v": market.size(trade.size), "p": market.price(trade.price)}
    side = "Buy" if trade.bought else "Sell"
    return {"T": milliseconds(), "s": market.name, "S": side, **sizes, "i": str(trade.id), "BT": False}


def _ticker(market: Market) -> dict[str, Any]:
    prices = {"lastPrice": market.last, "highPrice24h": market.high, "lowPrice24h": market.low}
    texts = {name: market.price(value) for name, value in prices.items()} | {"prevPrice24h": market.price(market.open)}
    return {"symbol": market.name, **texts, "volume24h": market.size(market.volume)}
