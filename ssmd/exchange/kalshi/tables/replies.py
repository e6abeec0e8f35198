"""The tables of answers to commands."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.table import INTEGER, JSON, TEXT, Column, Table
from ssmd.exchange.kalshi.tables.columns import integer, json, reply, text

__all__ = ["REPLIES"]

REPLIES: Sequence[Table] = (
    Table(
        "subscribed",
        (
            Column("id", ("id",), INTEGER, meaning="the command that the message answers"),
            Column("channel", ("msg", "channel"), TEXT, meaning="the channel"),
            Column("sid", ("msg", "sid"), INTEGER, meaning="the subscription, which is new"),
        ),
        "a subscription was made",
    ),
    reply(
        "ok",
        "a command was carried out",
        Column("msg", ("msg",), JSON, meaning="what the answer says: an object, or a list of subscriptions"),
    ),
    reply("unsubscribed", "a subscription was ended"),
    reply(
        "error",
        "a command was refused",
        integer("code", "the number of the error"),
        text("msg", "what is wrong"),
        text("market_ticker", "the market that it is about"),
        text("market_id", "the market's UUID"),
        json("market_tickers", "the markets that it is about"),
    ),
)
