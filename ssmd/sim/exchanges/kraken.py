"""Kraken spot, version 2. https://docs.kraken.com/api/docs/guides/spot-ws-intro and the pages of its channels.

- A `status` message comes first. Each symbol is confirmed or refused by an answer of its own.
- `heartbeat` comes once a second when there is nothing else to send, if there is a subscription.
- A connection without a subscription on which the client sends nothing is closed after a minute. The close code is not
  published; here the TCP connection ends.
- About 150 connections in ten minutes are allowed.
- There are no sequence numbers. `checksum` is the CRC32 of the ten best levels, as
  https://docs.kraken.com/api/docs/guides/spot-ws-book-v2 describes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, rfc3339

__all__ = ["Kraken"]

_DEPTHS = (10, 25, 100, 500, 1000)


class Kraken(Rules):
    """One connection to Kraken."""

    path = "/v2"
    markets = named("{}/{}", "USD", "EUR")
    channels: ClassVar = {"book": 12, "trade": 3, "ticker": 2}
    connects = (150, 600)

    def opened(self) -> None:
        self._heartbeat = self.timer(1, self._beat)
        self._idle = self.timer(60, self._end_if_idle)
        self._send_status("online")

    def received(self, message: Any) -> None:
        self._idle.restart()
        match message:
            case {"method": "ping"}:
                self.send({"method": "pong", **_request_id(message), "time_in": rfc3339(), "time_out": rfc3339()})
            case {"method": "subscribe", "params": {"channel": str(channel), "symbol": [*symbols]} as params}:
                for symbol in symbols:
                    self._subscribe(message, channel, symbol, params.get("depth", 10))
            case {"method": "unsubscribe", "params": {"channel": str(channel), "symbol": [*symbols]}}:
                for symbol in symbols:
                    self.subscriptions.pop((channel, str(symbol)), None)
                    self._answer(message, result={"channel": channel, "symbol": symbol})
            case _:
                self._answer(message, error="Unsupported method or malformed request")

    def event(self, subscription: Subscription) -> None:
        market = subscription.market
        match subscription.channel:
            case "book":
                self._send_data(subscription, "update", self._book(market, subscription.view.update()))
            case "trade":
                self._send_data(subscription, "update", _trade(market))
            case "ticker":
                self._send_data(subscription, "update", _ticker(market))

    def notice(self) -> None:
        """Report the maintenance that ends all connections."""
        self._send_status("maintenance")
        self.timer(1, self.end)

    def sent(self) -> None:
        self._heartbeat.restart()

    def _subscribe(self, message: dict[str, Any], channel: str, symbol: Any, depth: Any) -> None:
        if not self.offers(channel):
            self._answer(message, error=f"Subscription channel name invalid: {channel}", symbol=symbol)
        elif symbol not in self.markets:
            self._answer(message, error=f"Currency pair not supported {symbol}", symbol=symbol)
        elif depth not in _DEPTHS:
            self._answer(message, error="Subscription depth not supported", symbol=symbol)
        elif (channel, symbol) in self.subscriptions:
            self._answer(message, error="Already subscribed", symbol=symbol)
        else:
            new = self.subscribe(channel, symbol, depth=depth)
            with_depth = {"depth": depth} if channel == "book" else {}
            self._answer(message, result={"channel": channel, **with_depth, "snapshot": True, "symbol": symbol})
            first = {"book": lambda: self._book(new.market, new.view.snapshot()), "ticker": lambda: _ticker(new.market)}
            self._send_data(new, "snapshot", first.get(channel, lambda: _trade(new.market))())

    def _answer(self, message: Any, **fields: Any) -> None:
        method = {"method": message["method"]} if isinstance(message, dict) and "method" in message else {}
        times = {"time_in": rfc3339(), "time_out": rfc3339()}
        self.send({**method, **_request_id(message), **fields, "success": "error" not in fields, **times})

    def _send_data(self, subscription: Subscription, kind: str, item: dict[str, Any]) -> None:
        data = {"symbol": subscription.market.name, **item}
        self.send({"channel": subscription.channel, "type": kind, "data": [data]})

    def _send_status(self, system: str) -> None:
        number = self.random.getrandbits(63)
        data = {"api_version": "v2", "connection_id": number, "system": system, "version": "2.0.10"}
        self.send({"channel": "status", "type": "update", "data": [data]})

    def _beat(self) -> None:
        if self.subscriptions:
            self.send({"channel": "heartbeat"})

    def _end_if_idle(self) -> None:
        if not self.subscriptions:
            self.end()

    @staticmethod
    def _book(market: Market, levels: Levels) -> dict[str, Any]:
        sides = {"bids": _numbers(market, levels.bids), "asks": _numbers(market, levels.asks)}
        return {**sides, "checksum": checksum(market), "timestamp": rfc3339()}


def checksum(market: Market) -> int:
    """Return the CRC32 of the ten best levels: asks, then bids, digits without leading zeros."""
    best = market.book(10)
    texts = [market.price(price) + "|" + market.size(size) for price, size in best.asks + best.bids]
    digits = [number.replace(".", "").lstrip("0") for text in texts for number in text.split("|")]
    return zlib.crc32("".join(digits).encode())


def _numbers(market: Market, levels: Iterable[tuple[int, int]]) -> list[dict[str, float]]:
    return [{"price": float(market.price(price)), "qty": float(market.size(size))} for price, size in levels]


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    return {
        "side": "buy" if trade.bought else "sell",
        "price": float(market.price(trade.price)),
        "qty": float(market.size(trade.size)),
        "ord_type": "market",
        "trade_id": trade.id,
        "timestamp": rfc3339(),
    }


def _ticker(market: Market) -> dict[str, Any]:
    best = market.book(1)
    (bid, bid_size), (ask, ask_size) = best.bids[0], best.asks[0]
    ticks = {"bid": bid, "ask": ask, "last": market.last, "low": market.low, "high": market.high, "vwap": market.open}
    lots = {"bid_qty": bid_size, "ask_qty": ask_size, "volume": market.volume}
    prices = {name: float(market.price(value)) for name, value in ticks.items()}
    change = round((market.last - market.open) / market.open * 100, 2)
    return {**prices, **{name: float(market.size(value)) for name, value in lots.items()}, "change_pct": change}


def _request_id(message: Any) -> dict[str, Any]:
    return {"req_id": message["req_id"]} if isinstance(message, dict) and "req_id" in message else {}
