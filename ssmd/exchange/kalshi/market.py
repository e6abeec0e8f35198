"""Which market a message of Kalshi is about. Pure."""

from __future__ import annotations

import msgspec

__all__ = ["market_in"]


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


def market_in(payload: bytes, field: str = "market_ticker") -> str:
    """Return the market that a message is about, as the field of its `msg` names it; empty when it names none."""
    try:
        name: str = getattr(_decode_names(payload).msg, field)
    except (ValueError, RecursionError):
        return ""
    return name
