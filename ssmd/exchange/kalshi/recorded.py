"""Reads recorded messages of Kalshi as KalshiInspector does, and on demand their markets in the same look."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import msgspec

from ssmd.exchange.kalshi.inspector import KalshiInspector, MessageHead
from ssmd.exchange.kalshi.reader import KalshiReader

__all__ = ["RecordedInspector"]


class _Body(msgspec.Struct, gc=False):
    market_ticker: str = ""


class _Message(MessageHead, gc=False):
    msg: _Body | None = None


_decode = msgspec.json.Decoder(_Message).decode
_market = operator.attrgetter("msg.market_ticker")


class RecordedInspector(KalshiInspector):
    """Keeps the MarketFinder contract."""

    def with_markets(self) -> Callable[[Sequence[bytes]], Sequence[str]]:
        decode_heads = self.heads.decode
        found: list[_Message] = []

        def decode(payloads: list[bytes]) -> list[MessageHead]:
            nonlocal found
            try:
                found = list(map(_decode, payloads))
            except (ValueError, RecursionError):
                found = []
                return decode_heads(payloads)
            return found  # type: ignore[return-value]

        def markets(payloads: Sequence[bytes]) -> Sequence[str]:
            try:
                if found:
                    return list(map(_market, found))
            except AttributeError:  # One of them has no `msg`.
                pass
            return list(map(_market_of, payloads))

        self.heads.decode = decode
        return markets


def _market_of(payload: bytes) -> str:
    try:
        return KalshiReader().read((payload,))[0][1]
    except (ValueError, RecursionError):
        return ""
