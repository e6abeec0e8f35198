"""KuCoin spot. Its rules, by https://www.kucoin.com/docs-new/websocket-api/base-info/introduction:

- POST /api/v1/bullet-public gives a token, which the URL of the connection must have. `welcome` comes first.
- The client sends a ping every 18 seconds, and gets a pong. A minute without one closes the connection with 1000.
- A connection ends with its token after 24 hours.
- Allowed are 30 connections in a minute, 100 messages in 10 seconds, 100 topics in a message, 300 in a connection.
- `sequenceStart` of a book's message is one more than `sequenceEnd` of the one before, or less.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Request, Rules, Subscription, milliseconds
from ssmd.sim.limits import Rate
from ssmd.sim.upgrade import Answer, answer

__all__ = ["KuCoin"]

_MATCHES, _TICKERS, _BOOKS = "/market/match", "/market/ticker", "/market/level2"
_MOST_AT_ONCE, _MOST_TOPICS = 100, 300
_DAY = 24 * 60 * 60


class KuCoin(Rules):
    """One connection to KuCoin."""

    path = "/"
    prepares = "/api/v1/bullet-public"
    markets = named("{}-USDT")
    channels: ClassVar = {_BOOKS: 12, _MATCHES: 3, _TICKERS: 2}
    connects = (30, 60)

    @classmethod
    def http(cls, request: Request, shared: dict[str, Any]) -> Answer | None:
        tokens: set[str] = shared.setdefault("tokens", set())
        if request.path == cls.prepares:
            return _token(request, tokens) if request.method == "POST" else answer(405)
        return None if request.query.get("token") in tokens else answer(401)

    def opened(self) -> None:
        self._messages = Rate(100, 10)
        self._unpinged = self.timer(60, lambda: self.end(1000, "Bye"))
        self.timer(_DAY, lambda: self.end(1000, "Bye"))
        self.send({"id": self.query.get("connectId", self.connection_id), "type": "welcome"})

    def received(self, message: Any) -> None:
        match message:
            case _ if not self._messages.allows(self.now_ns()):
                self._refuse(message, 509, "exceed max permits per second")
            case {"type": "ping"}:
                self._unpinged.restart()
                self._answer(message, type="pong", timestamp=milliseconds() * 1000)
            case {"type": "subscribe", "topic": str(topic)}:
                self._subscribe(message, topic)
            case {"type": "unsubscribe", "topic": str(topic)}:
                for each in _topics(topic):
                    self.subscriptions.pop((each.partition(":")[0], each), None)
                self._answer(message, type="ack")
            case _:
                self._refuse(message, 400, "type is not supported")

    def event(self, subscription: Subscription) -> None:
        match subscription.channel:
            case "/market/match":
                self._publish(subscription, "trade.l3match", _match(subscription.market))
            case "/market/ticker":
                self._publish(subscription, "trade.ticker", _ticker(subscription.market))
            case _:
                self._publish(subscription, "trade.l2update", self._changes(subscription))

    def _subscribe(self, message: dict[str, Any], topic: str) -> None:
        topics = _topics(topic)
        for each in topics:
            channel, _, market = each.partition(":")
            if not self.offers(channel) or market not in self.markets:
                self._refuse(message, 404, f"topic {each} is not found")
                return
        if len(topics) > _MOST_AT_ONCE or len(self.subscriptions) + len(topics) > _MOST_TOPICS:
            self._refuse(message, 509, f"exceed max subscription count limitation of {_MOST_TOPICS} per session")
            return
        if message.get("response"):
            self._answer(message, type="ack")
        for each in topics:
            channel, _, market = each.partition(":")
            new = self.subscribe(channel, market, topic=each)
            new.number = new.number or self.random.randrange(10**10, 10**11)
            new.view.snapshot()

    def _publish(self, subscription: Subscription, subject: str, data: dict[str, Any]) -> None:
        self.send({"topic": subscription.topic, "type": "message", "subject": subject, "data": data})

    def _changes(self, subscription: Subscription) -> dict[str, Any]:
        levels, market, first = subscription.view.update(), subscription.market, subscription.number + 1
        subscription.number += len(levels.bids) + len(levels.asks)
        return {
            "changes": _numbered(levels, market, first),
            "sequenceStart": first,
            "sequenceEnd": subscription.number,
            "symbol": market.name,
            "time": milliseconds(),
        }

    def _answer(self, message: Any, **fields: Any) -> None:
        asked = {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}
        self.send({**asked, **fields})

    def _refuse(self, message: Any, code: int, text: str) -> None:
        self._answer(message, type="error", code=code, data=text)


def _token(request: Request, tokens: set[str]) -> Answer:
    """Answer the request for a token."""
    tokens.add(token := secrets.token_urlsafe(48) + "==")
    server = {
        "endpoint": f"ws://{request.address}/",
        "encrypt": False,
        "protocol": "websocket",
        "pingInterval": 18_000,
        "pingTimeout": 10_000,
    }
    document = {"code": "200000", "data": {"token": token, "instanceServers": [server]}}
    return Answer(200, json.dumps(document, separators=(",", ":")).encode())


def _topics(text: str) -> list[str]:
    """Return the topics in a text such as /market/match:BTC-USDT,ETH-USDT."""
    channel, _, markets = text.partition(":")
    return [f"{channel}:{market}" for market in markets.split(",")]


def _numbered(levels: Levels, market: Market, first: int) -> dict[str, list[list[str]]]:
    """Return the changes of both sides, each with its number, from `first`."""
    sides = {"bids": levels.bids, "asks": levels.asks}
    numbers = iter(range(first, first + len(levels.bids) + len(levels.asks)))
    return {
        name: [[market.price(price), market.size(size), str(next(numbers))] for price, size in side]
        for name, side in sides.items()
    }


def _match(market: Market) -> dict[str, Any]:
    trade = market.trade()
    return {
        "makerOrderId": f"{trade.id:024x}",
        "price": market.price(trade.price),
        "sequence": str(trade.id),
        "side": "buy" if trade.bought else "sell",
        "size": market.size(trade.size),
        "symbol": market.name,
        "takerOrderId": f"{trade.id + 1:024x}",
        "time": f"{milliseconds()}000000",
        "tradeId": str(trade.id),
        "type": "match",
    }


def _ticker(market: Market) -> dict[str, Any]:
    best = market.book(1)
    (bid, bid_size), (ask, ask_size) = best.bids[0], best.asks[0]
    prices = {"bestAsk": ask, "bestBid": bid, "price": market.last}
    sizes = {"bestAskSize": ask_size, "bestBidSize": bid_size, "size": 1}
    texts = {name: market.price(value) for name, value in prices.items()}
    texts |= {name: market.size(value) for name, value in sizes.items()}
    return {**texts, "sequence": str(market.trades), "time": milliseconds()}
