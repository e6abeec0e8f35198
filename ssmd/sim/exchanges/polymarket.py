"""Polymarket's rules, by https://docs.polymarket.com/market-data/websocket/market-channel:

- The first message of the client names tokens. There is no answer but their order books, as one list. Anything else,
  also a PING, closes the connection with 1008.
- The client sends the text PING every 10 seconds, and gets PONG; without it the connection ends.
- Tokens that do not exist are passed over. More tokens can be added later; for known ones the answer is the text
  NO NEW ASSETS.
- There are no sequence numbers, and there is no limit but 500 tokens.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from ssmd.sim.exchanges.market import Levels, Market
from ssmd.sim.exchanges.rules import Rules, Subscription, milliseconds

__all__ = ["Polymarket"]

_CHANNEL = "market"
_MOST_TOKENS = 500
_KINDS = {"price_change": 12, "last_trade_price": 3, "best_bid_ask": 2}
"""How often each kind of event happens, compared with the others."""


class Polymarket(Rules):
    """One connection to Polymarket."""

    path = "/ws/market"
    markets: ClassVar = {
        "65818619657568813474341868652308942079804919287380422192892211131408793125422": "XRP",
        "71321045679252212594626385532706912750332728571942532289631379312455583992563": "ADA",
        "52114319501245915516055106046884209969926127482827954674443846427813813222426": "DOGE",
    }
    channels: ClassVar = {_CHANNEL: 1}

    def opened(self) -> None:
        self._unpinged = self.timer(10, self.end)
        self._extra = False

    def received(self, message: Any) -> None:
        match message:
            case "PING" if self.subscriptions:
                self._unpinged.restart()
                self.send("PONG")
            case {"assets_ids": [_, *_] as tokens, "type": str(kind)} if kind.lower() == _CHANNEL:
                self._extra = message.get("custom_feature_enabled") is True
                self._subscribe([str(token) for token in tokens], first=True)
            case {"assets_ids": [_, *_] as tokens, "operation": "subscribe"} if self.subscriptions:
                self._subscribe([str(token) for token in tokens])
            case {"assets_ids": [*tokens], "operation": "unsubscribe"}:
                for token in tokens:
                    self.subscriptions.pop((_CHANNEL, str(token)), None)
            case _:
                self.end(1008, "invalid subscription payload")

    def event(self, subscription: Subscription) -> None:
        [kind] = self.random.choices(list(_KINDS), list(_KINDS.values()))
        market = subscription.market
        if kind == "price_change":
            self.send(self._price_change(market, subscription.view.update()))
        elif kind == "last_trade_price" or not self._extra:
            self.send(_trade(market))
        else:
            self.send(_best(market))

    def _subscribe(self, tokens: list[str], *, first: bool = False) -> None:
        if not self.offers(_CHANNEL) or any(not token.isdigit() for token in tokens):
            wrong = next((token for token in tokens if not token.isdigit()), _CHANNEL)
            self.send({"error": f"invalid asset id: {wrong}"})
            return
        if len(self.subscriptions) + len(tokens) > _MOST_TOKENS:
            self.send({"error": f"at most {_MOST_TOKENS} assets are allowed"})
            return
        new = [token for token in tokens if token in self.markets and (_CHANNEL, token) not in self.subscriptions]
        if not new and not first:
            self.send("NO NEW ASSETS")
            return
        self.send([self._book(self.subscribe(_CHANNEL, token)) for token in new])

    def _book(self, subscription: Subscription) -> dict[str, Any]:
        market, levels = subscription.market, subscription.view.snapshot()
        sides = {"bids": reversed(levels.bids), "asks": reversed(levels.asks)}
        return {
            **_head("book", market),
            **{side: [{"price": market.price(p), "size": market.size(s)} for p, s in of] for side, of in sides.items()},
            "hash": self._hash(),
        }

    def _price_change(self, market: Market, levels: Levels) -> dict[str, Any]:
        best = market.book(1)
        both = {"best_bid": market.price(best.bids[0][0]), "best_ask": market.price(best.asks[0][0])}
        changes = [
            {
                "asset_id": market.name,
                "price": market.price(price),
                "size": market.size(size),
                "side": side,
                "hash": self._hash(),
                **both,
            }
            for side, of in (("BUY", levels.bids), ("SELL", levels.asks))
            for price, size in of
        ]
        head = _head("price_change", market)
        del head["asset_id"]
        return {**head, "price_changes": changes}

    def _hash(self) -> str:
        return f"{self.random.getrandbits(160):040x}"


def _head(kind: str, market: Market) -> dict[str, Any]:
    condition = "0x" + hashlib.sha256(market.name.encode()).hexdigest()
    return {"event_type": kind, "asset_id": market.name, "market": condition, "timestamp": str(milliseconds())}


def _trade(market: Market) -> dict[str, Any]:
    trade = market.trade()
    side = "BUY" if trade.bought else "SELL"
    numbers = {"price": market.price(trade.price), "size": market.size(trade.size)}
    return {**_head("last_trade_price", market), "fee_rate_bps": "0", "side": side, **numbers}


def _best(market: Market) -> dict[str, Any]:
    (bid, _), (ask, _) = market.book(1).bids[0], market.book(1).asks[0]
    prices = {"best_bid": market.price(bid), "best_ask": market.price(ask), "spread": market.price(ask - bid)}
    return {**_head("best_bid_ask", market), **prices}
