"""HTX spot. Its rules, by https://huobiapi.github.io/docs/spot/v1/en, Websocket Market Data:

- Every message of the exchange is compressed with gzip.
- `{"ping": n}` comes every 5 seconds, and wants `{"pong": n}`. With two unanswered ones the connection is closed, with
  1003, when the third would come.
- Order books of all changes (mbp) are behind an address of their own, `/feed`. Each change names the one before in
  `prevSeqNum`. The whole book comes on request (`req`), at most once in 100 milliseconds.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds
from ssmd.sim.limits import Rate

__all__ = ["Htx", "HtxBooks"]

_LEVELS = ("5", "20", "150", "400")


class Htx(Rules):
    """One connection to HTX, for trades and tickers."""

    path = "/ws"
    markets: ClassVar = {name.lower(): coin for name, coin in named("{}USDT").items()}
    channels: ClassVar = {"trade": 3, "detail": 2}

    def opened(self) -> None:
        self._unanswered: list[int] = []
        self._requests = Rate(1, 0.1)
        self.timer(5, self._ping)

    def encode(self, message: Any) -> bytes:
        return gzip.compress(super().encode(message), compresslevel=1)

    def received(self, message: Any) -> None:
        match message:
            case {"pong": number}:
                if number in self._unanswered:
                    self._unanswered.clear()
            case {"sub": str(topic)}:
                self._subscribe(message, topic)
            case {"unsub": str(topic)}:
                self.subscriptions = {key: each for key, each in self.subscriptions.items() if key[1] != topic}
                self._answer(message, status="ok", unsubbed=topic)
            case {"req": str(topic)}:
                self._request(message, topic)
            case _:
                self._refuse(message, "bad-request", "invalid json")

    def event(self, subscription: Subscription) -> None:
        tick = _trade(subscription.market) if subscription.channel == "trade" else _ticker(subscription.market)
        self._publish(subscription, tick)

    def _ping(self) -> None:
        if len(self._unanswered) >= 2:
            self.end(1003, "ping check expired")
            return
        self._unanswered.append(milliseconds())
        self.send({"ping": self._unanswered[-1]})

    def _offered(self, topic: str) -> tuple[str, str] | None:
        """Return the channel and the market of a topic; None when it does not exist here."""
        match topic.split("."):
            case ["market", market, "trade", "detail"] if market in self.markets and self.offers("trade"):
                return "trade", market
            case ["market", market, "detail"] if market in self.markets and self.offers("detail"):
                return "detail", market
            case ["market", market, "mbp", levels] if (
                market in self.markets and levels in _LEVELS and self.offers("mbp")
            ):
                return "mbp", market
            case _:
                return None

    def _subscribe(self, message: dict[str, Any], topic: str) -> Subscription | None:
        if (offered := self._offered(topic)) is None:
            self._refuse(message, "bad-request", f"invalid topic {topic}")
            return None
        self._answer(message, status="ok", subbed=topic)
        return self.subscribe(*offered, topic=topic)

    def _request(self, message: dict[str, Any], topic: str) -> None:
        if not self._requests.allows(self.now_ns()):
            self._refuse(message, "too-many-request", "429 too many request topic")
        else:
            self._refuse(message, "bad-request", f"invalid topic {topic}")

    def _publish(self, subscription: Subscription, tick: dict[str, Any]) -> None:
        self.send({"ch": subscription.topic, "ts": milliseconds(), "tick": tick})

    def _answer(self, message: Any, **fields: Any) -> None:
        asked = {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}
        self.send({**asked, **fields, "ts": milliseconds()})

    def _refuse(self, message: Any, code: str, text: str) -> None:
        self._answer(message, status="error", **{"err-code": code, "err-msg": text})


class HtxBooks(Htx):
    """One connection to HTX, for order books."""

    path = "/feed"
    channels: ClassVar = {"mbp": 1}

    def event(self, subscription: Subscription) -> None:
        before, subscription.number = subscription.number, subscription.number + self.random.randint(1, 40)
        numbers = {"seqNum": subscription.number, "prevSeqNum": before}
        self._publish(subscription, {**numbers, **_sides(subscription.market, subscription.view.update())})

    def _subscribe(self, message: dict[str, Any], topic: str) -> Subscription | None:
        new = super()._subscribe(message, topic)
        if new is not None and not new.number:
            new.number = self.random.randrange(10**10, 10**11)
            new.view.snapshot()
        return new

    def _request(self, message: dict[str, Any], topic: str) -> None:
        found = self.subscriptions.get(("mbp", topic))
        if found is None or not self._requests.allows(self.now_ns()):
            super()._request(message, topic)
            return
        data = {"seqNum": found.number, **_sides(found.market, found.view.snapshot())}
        self._answer(message, rep=topic, status="ok", data=data)


def _sides(market: Market, levels: Levels) -> dict[str, list[list[float]]]:
    def numbers(side: Iterable[tuple[int, int]]) -> list[list[float]]:
        return [[float(market.price(price)), float(market.size(size))] for price, size in side]

    return {"bids": numbers(levels.bids), "asks": numbers(levels.asks)}


def _trade(market: Market) -> dict[str, Any]:
    trade, now = market.trade(), milliseconds()
    item = {
        "id": int(f"{trade.id}{now}"),
        "ts": now,
        "tradeId": trade.id,
        "amount": float(market.size(trade.size)),
        "price": float(market.price(trade.price)),
        "direction": "buy" if trade.bought else "sell",
    }
    return {"id": trade.id, "ts": now, "data": [item]}


def _ticker(market: Market) -> dict[str, Any]:
    ticks = {"low": market.low, "high": market.high, "open": market.open, "close": market.last}
    prices = {name: float(market.price(value)) for name, value in ticks.items()}
    amount = float(market.size(market.volume))
    return {"id": milliseconds(), **prices, "amount": amount, "vol": amount * prices["close"], "count": market.trades}
