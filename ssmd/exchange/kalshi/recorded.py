"""Reads recorded messages of Kalshi as KalshiInspector does, and on demand their markets in the same look."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.market_finder import Markets
from ssmd.exchange.kalshi.inspector import KalshiInspector, MessageHead
from ssmd.exchange.kalshi.market import HeadWithMarket, decode_with_market
from ssmd.exchange.kalshi.reader import KalshiReader

__all__ = ["RecordedInspector"]


class RecordedInspector(KalshiInspector):
    """Keeps the MarketFinder contract."""

    def with_markets(self) -> Markets:
        decode_heads = self.heads.decode
        found: list[HeadWithMarket] = []

        def decode(payloads: list[bytes]) -> list[MessageHead]:
            nonlocal found
            found = []  # Those of the messages before make room for the new ones, while their memory is in the cache.
            if not markets.wanted:
                return decode_heads(payloads)
            try:
                found = list(map(decode_with_market, payloads))
            except (ValueError, RecursionError):
                return decode_heads(payloads)
            return found  # type: ignore[return-value]

        def of(payloads: Sequence[bytes]) -> Sequence[str]:
            try:
                if found:
                    return [message.msg.market_ticker for message in found]  # type: ignore[union-attr]
            except AttributeError:  # One of them has no `msg`.
                pass
            return list(map(_market_of, payloads))

        markets = Markets(of)
        self.heads.decode = decode
        return markets


def _market_of(payload: bytes) -> str:
    try:
        return KalshiReader().read((payload,))[0][1]
    except (ValueError, RecursionError):
        return ""
