"""Kalshi's channels: which parameters name their markets, and on which of them silence is normal.

Source: https://docs.kalshi.com/asyncapi.yaml, the requirements of each channel.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BOOKS", "CHANNELS", "NAMED_BY", "Channel", "channel_named"]

BOOKS = "orderbook_delta"
"""The channel of the order books."""

_MARKETS = ("market_tickers", "market_ticker")

NAMED_BY = {
    "market_tickers": "market_ticker",
    "market_ticker": "market_ticker",
    "market_ids": "market_id",
    "market_id": "market_id",
    "index_ids": "index_id",
    "underlying_tickers": "underlying_ticker",
}
"""The parameters that name what to subscribe to, each with the field of `msg` that has the name in messages."""


class Channel(NamedTuple):
    """The rules of one channel."""

    lists: tuple[str, ...] = ()
    """The parameters that limit it to some markets or indices; empty when it always is of all."""
    may_be_silent: bool = False
    """Whether it may have nothing to send for days."""
    field: str = ""
    """The field of `msg` that names a message's market, where it is not the one of NAMED_BY."""


CHANNELS: dict[str, Channel] = {
    "cfbenchmarks_value": Channel(("index_ids",)),
    "cfbenchmarks_value_5hz": Channel(("index_ids",)),
    "communications": Channel(may_be_silent=True),
    "fill": Channel(_MARKETS, may_be_silent=True),
    "market_lifecycle_v2": Channel(),
    "market_positions": Channel(_MARKETS, may_be_silent=True),
    "multivariate_market_lifecycle": Channel(may_be_silent=True),
    "order_group_updates": Channel(may_be_silent=True),
    BOOKS: Channel(_MARKETS),
    "pyth_value": Channel(("underlying_tickers",)),
    "ticker": Channel((*_MARKETS, "market_ids", "market_id")),
    "trade": Channel(_MARKETS),
    "user_orders": Channel(_MARKETS, may_be_silent=True, field="ticker"),
}


def channel_named(name: str) -> Channel:
    """Return the rules of a channel. One that is not known here may take a list of markets, and is not silent."""
    return CHANNELS.get(name, Channel(_MARKETS))
