"""A fold of order books that shares no code with ssmd: what a reader of a recorded day would do with Kalshi's messages.

A snapshot replaces a market's book, and a delta adds to one level of it. A delta for a market that has had no snapshot
says nothing. After a gap in the numbers of a subscription its books are unknown, each until its next snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

Book = dict[tuple[str, str], Decimal]
"""The size by side and price."""


class Books:
    """The books of one connection's messages."""

    def __init__(self) -> None:
        self.known: dict[str, Book] = {}
        self.agreed: list[str] = []
        """The market of each snapshot that was equal to the book that was folded up to it."""
        self.wrong: list[str] = []
        """The market of each snapshot that was not."""
        self.gaps = 0
        self._sids: dict[int, set[str]] = {}
        self._next: dict[int, int] = {}

    def take(self, message: Mapping[str, Any]) -> None:
        sid, seq = message.get("sid"), message.get("seq")
        if sid is not None and seq is not None:
            expected = self._next.get(sid, seq)
            repeated = "id" in message and seq == expected - 1
            if seq != expected and not repeated:
                self.gaps += 1
                for market in self._sids.pop(sid, ()):
                    self.known.pop(market, None)
            self._next[sid] = seq + 1
        if message.get("type") == "orderbook_snapshot":
            self._replace(message["msg"], message["sid"])
        elif message.get("type") == "orderbook_delta":
            self._add(message["msg"])

    def take_all(self, messages: Iterable[Mapping[str, Any]]) -> Books:
        for message in messages:
            self.take(message)
        return self

    def _replace(self, msg: Mapping[str, Any], sid: int) -> None:
        market = msg["market_ticker"]
        book = {
            (side, price): Decimal(size) for side in ("yes", "no") for price, size in msg.get(f"{side}_dollars_fp", [])
        }
        if market in self.known:
            (self.agreed if self.known[market] == book else self.wrong).append(market)
        self.known[market] = book
        self._sids.setdefault(sid, set()).add(market)

    def _add(self, msg: Mapping[str, Any]) -> None:
        book = self.known.get(msg["market_ticker"])
        if book is None:
            return
        level = msg["side"], msg["price_dollars"]
        size = book.get(level, Decimal(0)) + Decimal(msg["delta_fp"])
        assert size >= 0, msg
        if size:
            book[level] = size
        else:
            del book[level]
