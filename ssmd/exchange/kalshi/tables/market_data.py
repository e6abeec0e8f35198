"""The tables of market data: order books, tickers, trades and index values."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.table import Column, Table
from ssmd.exchange.kalshi.tables.columns import (
    boolean,
    count,
    dollars,
    index_value,
    integer,
    json,
    levels,
    milliseconds,
    reply,
    seconds,
    table,
    text,
    time,
    unnumbered,
)

__all__ = ["MARKET_DATA"]

_TICKER = text("market_ticker", "the market")
_MARKET_ID = text("market_id", "the market's UUID")

_BOOKS = (
    reply(
        "orderbook_snapshot",
        "a whole order book",
        _TICKER,
        _MARKET_ID,
        levels("yes_dollars_fp", "the bids for yes, price and contracts; NULL when there are none"),
        levels("no_dollars_fp", "the bids for no"),
    ),
    table(
        "orderbook_delta",
        "a change of one level of an order book",
        _TICKER,
        _MARKET_ID,
        dollars("price_dollars", "the price of the level"),
        count("delta_fp", "how many contracts more, or fewer when negative"),
        text("side", "yes or no"),
        time("ts", "when it changed; deprecated by Kalshi"),
        milliseconds("ts_ms", "when it changed"),
        text("client_order_id", "the own order that changed it"),
        integer("subaccount", "that order's subaccount"),
    ),
)

_TICKERS = (
    unnumbered(
        "ticker",
        "prices and totals of a market",
        _TICKER,
        _MARKET_ID,
        dollars("price_dollars", "the last trade's price"),
        dollars("yes_bid_dollars", "the best bid for yes"),
        dollars("yes_ask_dollars", "the best ask for yes"),
        count("volume_fp", "contracts traded so far"),
        count("open_interest_fp", "contracts open"),
        integer("dollar_volume", "volume in whole dollars"),
        integer("dollar_open_interest", "open interest in whole dollars"),
        count("yes_bid_size_fp", "contracts at the best bid"),
        count("yes_ask_size_fp", "contracts at the best ask"),
        count("last_trade_size_fp", "contracts of the last trade"),
        seconds("ts", "when it was updated; deprecated by Kalshi"),
        milliseconds("ts_ms", "when it was updated"),
        time("time", "when it was updated; deprecated by Kalshi"),
    ),
    table(
        "trade",
        "a trade",
        text("trade_id", "the trade's UUID"),
        _TICKER,
        dollars("yes_price_dollars", "the price of yes"),
        dollars("no_price_dollars", "the price of no"),
        count("count_fp", "contracts"),
        text("taker_side", "yes or no; deprecated by Kalshi"),
        text("taker_outcome_side", "the outcome that the taker bought"),
        text("taker_book_side", "bid for yes, ask for no"),
        boolean("is_block_trade", "whether it was made off the book"),
        seconds("ts", "when it was made; deprecated by Kalshi"),
        milliseconds("ts_ms", "when it was made"),
    ),
)


def _average(name: str, meaning: str) -> Sequence[Column]:
    return (
        index_value(f"{name}.value", meaning),
        integer(f"{name}.window_size", "how many values it is the average of"),
        milliseconds(f"{name}.window_start_ts_ms", "when its window began"),
        milliseconds(f"{name}.window_end_ts_exclusive", "when its window ended"),
    )


_DATA = text("data", "the index provider's own message, as JSON text")
_RECEIVED_AT = milliseconds("received_at", "when Kalshi received it")
_VALUE = index_value("value_usd", "the value in dollars")
_SOURCE_TIME = milliseconds("source_ts_ms", "the provider's time")

_INDEXES = (
    table(
        "cfbenchmarks_value",
        "a value of an index of CF Benchmarks",
        text("index_id", "the index"),
        _RECEIVED_AT,
        _DATA,
        *_average("avg_60s_data", "the average of the last 60 seconds"),
        *_average("last_60s_windowed_average_15min", "the average of the last minute of a quarter of an hour"),
    ),
    table(
        "cfbenchmarks_value_5hz",
        "a value of an index of CF Benchmarks, five in a second",
        text("index_id", "the index"),
        _VALUE,
        _SOURCE_TIME,
        _RECEIVED_AT,
        _DATA,
    ),
    table(
        "pyth_value",
        "a price of Pyth",
        text("underlying_ticker", "what it is the price of"),
        _VALUE,
        _SOURCE_TIME,
        _RECEIVED_AT,
    ),
    reply("cfbenchmarks_value_indexlist", "the indexes that there are", json("index_ids", "their names")),
    reply("cfbenchmarks_value_5hz_indexlist", "the indexes that there are", json("index_ids", "their names")),
    reply("pyth_value_underlying_list", "the prices that there are", json("underlying_tickers", "their names")),
)

MARKET_DATA: Sequence[Table] = (*_BOOKS, *_TICKERS, *_INDEXES)
