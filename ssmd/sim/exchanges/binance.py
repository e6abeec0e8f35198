"""Binance spot, combined streams.

https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md

- A stream is `<symbol in lower case>@<channel>`. Streams may stand in the URL, as in `/stream?streams=a/b`, or are
  subscribed to by `SUBSCRIBE`, which is confirmed by `{"result": null, "id": ...}`. Each message names its stream.
- `{"code": 2, "msg": "Invalid request: ..."}` refuses a request. What a request for a symbol that does not exist gets
  is not published; here it is refused too, so that a misspelt one is noticed.
- The server sends a ping frame each 20 s, and closes a connection that has not answered with the same payload within a
  minute. The close code is not published; here the TCP connection ends.
- A client that sends more than 5 messages in a second, pings and pongs included, is disconnected, with 1008 as clients
  report. There may be 1024 streams on a connection, and 300 connections in five minutes.
- A connection ends after 24 hours. `serverShutdown` announces an end, ten minutes before it as clients report.
- In `depthUpdate`, `U` and `u` are the first and the last number of a symbol's changes: the next `U` is `u` + 1.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds, pairs
from ssmd.sim.frames import PONG
from ssmd.sim.limits import Rate

__all__ = ["Binance"]

_DAY = 24 * 60 * 60
_SHUTDOWN_SECONDS = 10 * 60
_MOST_STREAMS = 1024


class Binance(Rules):
    """One connection to Binance."""

    path = "/stream"
    markets = named("{}{}", "USDT", "USDC")
    channels: ClassVar = {"depth@100ms": 12, "depth": 2, "trade": 3, "ticker": 1, "bookTicker": 2}
    connects = (300, 300)

    def opened(self) -> None:
        self._rate = Rate(5, 1)
        self._waits_for = b""
        self._unanswered = self.timer(60, self.end)
        self._unanswered.stop()
        self.timer(20, self._ping)
        self.timer(_DAY - _SHUTDOWN_SECONDS, self.notice)
        for stream in filter(None, self.query.get("streams", "").split("/")):
            if self._is_known(stream):
                self._subscribe(stream)

    def received(self, message: Any) -> None:
        if self._is_too_fast():
            return
        match message:
            case {"method": "SUBSCRIBE" | "UNSUBSCRIBE" as verb, "params": [*streams]}:
                if unknown := next((each for each in streams if not self._is_known(each)), None):
                    self._refuse(message, f"invalid stream {unknown}")
                elif len({*(topic for _, topic in self.subscriptions), *streams}) > _MOST_STREAMS:
                    self._refuse(message, f"more than {_MOST_STREAMS} streams")
                else:
                    for stream in streams:
                        self._subscribe(stream) if verb == "SUBSCRIBE" else self._unsubscribe(stream)
                    self.send({"result": None, "id": message.get("id")})
            case {"method": "LIST_SUBSCRIPTIONS"}:
                self.send({"result": [topic for _, topic in self.subscriptions], "id": message.get("id")})
            case _:
                self._refuse(message, "unknown method or malformed request")

    def control(self, opcode: int, payload: bytes) -> None:
        if not self._is_too_fast() and opcode == PONG and payload == self._waits_for:
            self._unanswered.stop()

    def event(self, subscription: Subscription) -> None:
        market, channel = subscription.market, subscription.channel
        head = {"E": milliseconds(), "s": market.name}
        match channel:
            case "trade":
                data = {"e": "trade", **head, **_trade(market)}
            case "ticker":
                data = {"e": "24hrTicker", **head, **_ticker(market)}
            case "bookTicker":
                data = {"u": subscription.number, "s": market.name, **_best(market)}
            case _:
                changes = subscription.view.update()
                first = subscription.number + 1
                subscription.number += len(changes.bids) + len(changes.asks)
                numbers = {"U": first, "u": subscription.number}
                sides = {"b": pairs(changes.bids, market), "a": pairs(changes.asks, market)}
                data = {"e": "depthUpdate", **head, **numbers, **sides}
        self.send({"stream": subscription.topic, "data": data})

    def notice(self) -> None:
        """Announce that the server shuts down."""
        self.send({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": milliseconds()}})
        self.timer(_SHUTDOWN_SECONDS, lambda: self.end(1001, "server shutdown"))

    def _is_known(self, stream: Any) -> bool:
        symbol, _, channel = str(stream).partition("@")
        return symbol.islower() and symbol.upper() in self.markets and self.offers(channel)

    def _subscribe(self, stream: str) -> None:
        symbol, _, channel = stream.partition("@")
        subscription = self.subscribe(channel, symbol.upper(), stream)
        subscription.number = subscription.number or self.random.randrange(10**9)
        subscription.view.snapshot()  # Only the changes after it are sent; it is to be had from the REST interface.

    def _unsubscribe(self, stream: str) -> None:
        self.subscriptions.pop((stream.partition("@")[2], stream), None)

    def _refuse(self, message: Any, text: str) -> None:
        number = {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}
        self.send({"code": 2, "msg": f"Invalid request: {text}", **number})

    def _ping(self) -> None:
        self._waits_for = str(milliseconds()).encode()
        self.ping(self._waits_for)
        if self._unanswered.is_stopped:
            self._unanswered.restart()

    def _is_too_fast(self) -> bool:
        too_fast = not self._rate.allows(self.now_ns())
        if too_fast:
            self.end(1008, "Too many requests")
        return too_fast


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    price, size = market.price(trade.price), market.size(trade.size)
    return {"t": trade.id, "p": price, "q": size, "T": milliseconds(), "m": not trade.bought, "M": True}


def _best(market: Market) -> dict[str, Any]:
    best = market.book(1)
    [[bid, bid_size]], [[ask, ask_size]] = pairs(best.bids, market), pairs(best.asks, market)
    return {"b": bid, "B": bid_size, "a": ask, "A": ask_size}


def _ticker(market: Market) -> dict[str, Any]:
    prices = {"c": market.last, "o": market.open, "h": market.high, "l": market.low}
    texts = {name: market.price(value) for name, value in prices.items()}
    return {**texts, **_best(market), "v": market.size(market.volume)}
