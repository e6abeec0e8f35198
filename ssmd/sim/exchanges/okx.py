"""OKX, version 5, public data.

https://www.okx.com/docs-v5/en/#overview-websocket

- Each channel of a request is confirmed, `{"event": "subscribe", "arg": ...}`, or refused, `{"event": "error", "code":
  ..., "msg": ...}`: 60018 for a channel or a market that does not exist, 60012 for a request that is not one, 60014 for
  too many requests.
- When nothing was sent to the client for 30 s, the connection is closed with 4004. The client's text `ping` is answered
  with the text `pong`, which counts.
- 480 requests in an hour, of at most 64 KB, are allowed on a connection, and 3 connections in a second.
- `{"event": "notice", "code": "64008", ...}` comes 60 s before the server is upgraded.
- In `books`, `prevSeqId` is the `seqId` of the message before it, of the same market, and -1 in a snapshot. A book
  without a change for a minute has an update in which both are equal.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market, named
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds
from ssmd.sim.exchanges.timer import Timer
from ssmd.sim.limits import Rate

__all__ = ["Okx"]

_MOST_BYTES = 64 * 1024


class Okx(Rules):
    """One connection to OKX."""

    path = "/ws/v5/public"
    markets = named("{}-{}", "USDT", "USDC")
    channels: ClassVar = {"books": 12, "books5": 2, "bbo-tbt": 2, "trades": 3, "tickers": 2}
    connects = (3, 1)

    def opened(self) -> None:
        self._requests = Rate(480, 3600)
        self._silence = self.timer(30, lambda: self.end(4004, "No data received in 30s"))
        self._still: dict[str, Timer] = {}

    def receive(self, payload: bytes) -> list[bytes]:
        if len(payload) > _MOST_BYTES:
            self.end(1009, "message too big")
        return super().receive(payload)

    def received(self, message: Any) -> None:
        if message == "ping":
            return self.send("pong")
        match message:
            case {"op": "subscribe" | "unsubscribe", "args": [*args]} if not self._requests.allows(self.now_ns()):
                self._refuse(message, "60014", "Requests too frequent")
            case {"op": "subscribe" | "unsubscribe" as verb, "args": [*args]}:
                for arg in args:
                    self._change(message, verb, arg)
            case _:
                self._refuse(message, "60012", f"Invalid request: {message}")
        return None

    def event(self, subscription: Subscription) -> None:
        market = subscription.market
        match subscription.channel:
            case "trades":
                self._send_data(subscription, _trade(market))
            case "tickers":
                self._send_data(subscription, _ticker(market))
            case "books":
                self._send_book(subscription, subscription.view.update(), action="update")
            case _:
                subscription.view.update()
                self._send_book(subscription, subscription.view.snapshot())

    def notice(self) -> None:
        """Announce the upgrade of the server, which ends the connection."""
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        self.send({"event": "notice", "code": "64008", "msg": text, "connId": self.connection_id[:8]})
        self.timer(60, lambda: self.end(1001, "service upgrade"))

    def sent(self) -> None:
        self._silence.restart()

    def _change(self, message: Any, verb: str, arg: Any) -> None:
        match arg:
            case {"channel": str(channel), "instId": str(market)} if self.offers(channel) and market in self.markets:
                is_new = (channel, market) not in self.subscriptions
                self.send({**_id(message), "event": verb, "arg": arg, "connId": self.connection_id[:8]})
            case {"channel": channel}:
                text = ",".join(f"{name}:{value}" for name, value in arg.items())
                return self._refuse(message, "60018", f"Wrong URL or {text} doesn't exist.")
            case _:
                return self._refuse(message, "60012", f"Invalid request: {message}")
        if verb == "unsubscribe":
            self.subscriptions.pop((channel, market), None)
            if channel == "books" and market in self._still:
                self._still.pop(market).stop()
        elif is_new:
            self._begin(self.subscribe(channel, market, depth={"books5": 5, "bbo-tbt": 1}.get(channel)))
        return None

    def _begin(self, subscription: Subscription) -> None:
        if subscription.channel == "books":
            subscription.number = -1
            show = partial(self._show_still_book, subscription)
            self._still[subscription.market.name] = self.timer(60, show)
            self._send_book(subscription, subscription.view.snapshot(), action="snapshot")
        else:
            self.event(subscription)

    def _send_book(self, subscription: Subscription, levels: Levels, *, action: str = "") -> None:
        market, before = subscription.market, subscription.number
        if before < 0:
            subscription.number = self.random.randrange(10**9)
        elif levels:
            subscription.number += self.random.randint(1, 9)
        sides = {"asks": _levels(levels.asks, market), "bids": _levels(levels.bids, market)}
        data = {**sides, "ts": str(milliseconds()), "checksum": 0, "seqId": subscription.number}
        if subscription.channel == "books":
            data["prevSeqId"] = before
            self._still[market.name].restart()
        self._send_data(subscription, data, action)

    def _send_data(self, subscription: Subscription, data: dict[str, Any], action: str = "") -> None:
        arg = {"channel": subscription.channel, "instId": subscription.market.name}
        self.send({"arg": arg, **({"action": action} if action else {}), "data": [data]})

    def _show_still_book(self, subscription: Subscription) -> None:
        if not self.frozen:
            self._send_book(subscription, Levels([], []), action="update")

    def _refuse(self, message: Any, code: str, text: str) -> None:
        self.send({**_id(message), "event": "error", "code": code, "msg": text, "connId": self.connection_id[:8]})


def _id(message: Any) -> dict[str, Any]:
    return {"id": message["id"]} if isinstance(message, dict) and "id" in message else {}


def _levels(levels: list[tuple[int, int]], market: Market) -> list[list[str]]:
    return [[market.price(price), market.size(size), "0", "1" if size else "0"] for price, size in levels]


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    numbers = {"tradeId": str(trade.id), "px": market.price(trade.price), "sz": market.size(trade.size)}
    rest = {"side": "buy" if trade.bought else "sell", "ts": str(milliseconds()), "count": "1", "seqId": trade.id}
    return {"instId": market.name, **numbers, **rest}


def _ticker(market: Market) -> dict[str, Any]:
    best = market.book(1)
    (bid, bid_size), (ask, ask_size) = best.bids[0], best.asks[0]
    prices = {"last": market.last, "askPx": ask, "bidPx": bid, "open24h": market.open, "high24h": market.high}
    texts = {name: market.price(value) for name, value in prices.items()}
    sizes = {"askSz": market.size(ask_size), "bidSz": market.size(bid_size), "vol24h": market.size(market.volume)}
    name = {"instType": "SPOT", "instId": market.name}
    return {**name, **texts, "low24h": market.price(market.low), **sizes, "ts": str(milliseconds())}
