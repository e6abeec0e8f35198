"""Gate.io spot, version 4. Its rules, by https://www.gate.com/docs/developers/apiv4/ws/en:

- Each message of the client has the current time, within a minute, or is refused.
- A connection on which the client sends no message for half a minute ends without a close frame. `spot.ping` is
  answered by `spot.pong`. Whether ping frames count is not published; here they do not.
- An order book (spot.obu) begins with all of it, `full`; then `U`, the number of the first change of a message, is one
  more than `u`, the last one of the message before. A stream can be subscribed to once.
- Before maintenance comes a message of the type `upgrade`.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds, pairs

__all__ = ["GateIo"]

_BOOKS = "spot.obu"
_DEPTHS = {"50": 50, "400": 400}

_INVALID_REQUEST, _INVALID_ARGUMENT = 1, 2
"""Codes of errors."""


class GateIo(Rules):
    """One connection to Gate.io."""

    path = "/ws/v4/"
    markets = named("{}_USDT")
    channels: ClassVar = {_BOOKS: 12, "spot.trades": 3, "spot.tickers": 2}

    def opened(self) -> None:
        self._idle = self.timer(30, self.end)

    def received(self, message: Any) -> None:
        self._idle.restart()
        match message:
            case {"channel": str(channel), "time": int(seconds)}:
                if abs(seconds - time.time()) > 60:
                    self._refuse(message, _INVALID_ARGUMENT, "time differs from the server's by more than 60 seconds")
                elif channel == "spot.ping":
                    self.send({**_times(), "channel": "spot.pong", "event": "", "result": None})
                else:
                    self._command(message, channel)
            case _:
                self._refuse(message, _INVALID_REQUEST, "invalid request body structure")

    def event(self, subscription: Subscription) -> None:
        match subscription.channel:
            case "spot.trades":
                self._publish(subscription.channel, _trade(subscription.market))
            case "spot.tickers":
                self._publish(subscription.channel, _ticker(subscription.market))
            case _:
                self._publish_book(subscription, subscription.view.update())

    def notice(self) -> None:
        """Announce the maintenance that ends all connections."""
        self.send({"type": "upgrade", "msg": "The connection will soon be closed for maintenance. Please reconnect."})
        self.timer(1, self.end)

    def _command(self, message: dict[str, Any], channel: str) -> None:
        match message:
            case {"event": "subscribe", "payload": [_, *_] as payload} if self.offers(channel):
                self._subscribe(message, channel, [str(each) for each in payload])
            case {"event": "unsubscribe", "payload": [*payload]} if self.offers(channel):
                for each in payload:
                    self.subscriptions.pop((channel, str(each)), None)
                self._answer(message, result={"status": "success"})
            case _:
                self._refuse(message, _INVALID_ARGUMENT, f"unknown channel or event: {channel}")

    def _subscribe(self, message: dict[str, Any], channel: str, names: list[str]) -> None:
        for name in names:
            market, depth = _stream(name) if channel == _BOOKS else (name, None)
            if market not in self.markets or (channel == _BOOKS and depth is None):
                self._refuse(message, _INVALID_ARGUMENT, f"unknown currency pair: {name}")
                return
            if channel == _BOOKS and (channel, name) in self.subscriptions:
                self._refuse(message, _INVALID_ARGUMENT, f"Alert sub {name}")
                return
        self._answer(message, result={"status": "success"})
        for name in names:
            market, depth = _stream(name) if channel == _BOOKS else (name, None)
            new = self.subscribe(channel, market, topic=name, depth=depth)
            if channel == _BOOKS:
                new.number = self.random.randrange(10**10, 10**11)
                self._publish_book(new, new.view.snapshot(), full=True)

    def _publish(self, channel: str, result: dict[str, Any]) -> None:
        self.send({**_times(), "channel": channel, "event": "update", "result": result})

    def _publish_book(self, subscription: Subscription, levels: Levels, *, full: bool = False) -> None:
        market, first = subscription.market, subscription.number + 1
        if not full:
            subscription.number += self.random.randint(1, 40)
        numbers = {"u": subscription.number} if full else {"U": first, "u": subscription.number}
        head = {"t": milliseconds(), **({"full": True} if full else {}), "s": subscription.topic, **numbers}
        result = {**head, "b": pairs(levels.bids, market), "a": pairs(levels.asks, market)}
        self.send({"channel": _BOOKS, "result": result, "time_ms": milliseconds()})

    def _answer(self, message: Any, **fields: Any) -> None:
        known = message if isinstance(message, dict) else {}
        asked = {name: known[name] for name in ("id", "channel", "event", "payload") if name in known}
        self.send({**_times(), "conn_id": self.connection_id[:8], **asked, **fields})

    def _refuse(self, message: Any, code: int, text: str) -> None:
        self._answer(message, error={"code": code, "message": text}, result={"status": "fail"})


def _stream(name: str) -> tuple[str, int | None]:
    """Return the market and the depth in the name of an order book, such as ob.BTC_USDT.50."""
    match name.split("."):
        case ["ob", market, depth]:
            return market, _DEPTHS.get(depth)
        case _:
            return "", None


def _times() -> dict[str, int]:
    now = milliseconds()
    return {"time": now // 1000, "time_ms": now}


def _trade(market: Market) -> dict[str, Any]:
    trade, now = market.trade(), milliseconds()
    return {
        "id": trade.id,
        "create_time": now // 1000,
        "create_time_ms": f"{now}.{trade.id % 1000:03d}",
        "side": "buy" if trade.bought else "sell",
        "currency_pair": market.name,
        "amount": market.size(trade.size),
        "price": market.price(trade.price),
    }


def _ticker(market: Market) -> dict[str, Any]:
    best = market.book(1)
    ticks = {"last": market.last, "lowest_ask": best.asks[0][0], "highest_bid": best.bids[0][0]}
    day = {"high_24h": market.high, "low_24h": market.low}
    prices = {name: market.price(value) for name, value in {**ticks, **day}.items()}
    change = f"{(market.last - market.open) / market.open * 100:.2f}"
    return {
        "currency_pair": market.name, **prices, "change_percentage": change, "base_volume": market.size(market.volume),
    }  # fmt: skip
