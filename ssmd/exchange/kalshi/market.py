"""Which market a message of Kalshi is about. Pure."""

from __future__ import annotations

import msgspec

from ssmd.exchange.kalshi.inspector import MessageHead

__all__ = ["MARKET_FIELD", "HeadWithMarket", "decode_with_market", "market_in"]

MARKET_FIELD = "market_ticker"
"""The field of `msg` that names the market of nearly all messages."""


class _Body(msgspec.Struct, gc=False):
    market_ticker: str = ""


class HeadWithMarket(MessageHead, gc=False):
    """The head of a message, and the market that MARKET_FIELD names, empty when it names none."""

    msg: _Body | None = None


decode_with_market = msgspec.json.Decoder(HeadWithMarket).decode
"""Takes a fifth longer than to decode the head alone. Raises ValueError or RecursionError when the message is not JSON,
has no such head, or names its market in another way."""


class _Names(msgspec.Struct, gc=False):
    """The fields of a message that may name its market."""

    market_ticker: str = ""
    market_id: str = ""
    index_id: str = ""
    underlying_ticker: str = ""
    ticker: str = ""


class _Named(msgspec.Struct, gc=False):
    msg: _Names


_decode_names = msgspec.json.Decoder(_Named).decode


def market_in(payload: bytes, field: str = MARKET_FIELD) -> str:
    """Return the market that a message is about, as the field of its `msg` names it; empty when it names none."""
    try:
        name: str = getattr(_decode_names(payload).msg, field)
    except (ValueError, RecursionError):
        return ""
    return name
