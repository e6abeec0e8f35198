"""Where the messages of an exchange belong, for programs that get them from an engine: the topic of each type."""

from __future__ import annotations

from typing import NamedTuple

from ssmd.exchange.readers import KALSHI

__all__ = ["CONTROL", "DATA", "PRIVATE", "Topic", "topic_of"]

DATA, CONTROL, PRIVATE = "json", "control", "private"


class Topic(NamedTuple):
    """A kind of messages."""

    section: str
    """DATA; CONTROL for the exchange's replies to commands; or PRIVATE for what only the account's owner may see."""
    name: str
    """What the messages are, such as `trade`; empty when nothing says it."""


_KALSHI_DATA = {
    "orderbook_snapshot": "orderbook",
    "orderbook_delta": "orderbook",
    "market_lifecycle_v2": "lifecycle",
    **{
        name: name
        for name in (
            "ticker",
            "trade",
            "event_lifecycle",
            "event_fee_update",
            "multivariate_market_lifecycle",
            "cfbenchmarks_value",
            "cfbenchmarks_value_5hz",
            "pyth_value",
        )
    },
}
"""The types of the channels that show everybody the same: https://docs.kalshi.com/asyncapi.yaml. A snapshot of an order
book and its changes have one topic, because neither is of use without the other."""

_KALSHI_REPLIES = {
    "subscribed",
    "unsubscribed",
    "ok",
    "error",
    "cfbenchmarks_value_indexlist",
    "cfbenchmarks_value_5hz_indexlist",
    "pyth_value_underlying_list",
}


def topic_of(exchange: str, type: str) -> Topic:
    """Return the topic of a message, from the name of its dialect and its type.

    What Kalshi sends in future may be private to an account, so it counts as private until this version knows it. So do
    messages of which no ledger says the dialect: they may be Kalshi's. Of other exchanges ssmd does not know which
    types are private, and each type is a topic of its own.
    """
    if not exchange:
        return Topic(PRIVATE, type)
    if exchange != KALSHI:
        return Topic(DATA, type)
    if type in _KALSHI_DATA:
        return Topic(DATA, _KALSHI_DATA[type])
    return Topic(CONTROL if type in _KALSHI_REPLIES else PRIVATE, type)
