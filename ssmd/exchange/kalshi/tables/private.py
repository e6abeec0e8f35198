"""The tables of channels that are private to an account: fills, orders, positions and quotes."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.table import Table
from ssmd.exchange.kalshi.tables.columns import (
    boolean,
    count,
    dollars,
    integer,
    json,
    milliseconds,
    seconds,
    table,
    text,
    time,
    unnumbered,
)

__all__ = ["PRIVATE"]

_MICRO = 6
"""Costs and fees are written with six decimals, prices with four."""

_TICKER = text("market_ticker", "the market")
_SUBACCOUNT = integer("subaccount", "the subaccount")
_OUTCOME = text("outcome_side", "yes or no")
_BOOK_SIDE = text("book_side", "bid for yes, ask for no")
_SIDE = text("side", "yes or no; deprecated by Kalshi")

_ACCOUNT = (
    unnumbered(
        "fill",
        "an own order was filled",
        text("trade_id", "the trade's UUID"),
        text("order_id", "the order's UUID"),
        _TICKER,
        integer("exchange_index", "which of Kalshi's exchanges"),
        boolean("is_taker", "whether the own order was the taker"),
        _SIDE,
        dollars("yes_price_dollars", "the price of yes"),
        count("count_fp", "contracts"),
        dollars("fee_cost", "the fee", _MICRO),
        text("action", "buy, sell and so on; deprecated by Kalshi"),
        seconds("ts", "when it was filled; deprecated by Kalshi"),
        milliseconds("ts_ms", "when it was filled"),
        text("client_order_id", "the own name of the order"),
        count("post_position_fp", "the position afterwards"),
        text("purchased_side", "yes or no; deprecated by Kalshi"),
        _SUBACCOUNT,
        _OUTCOME,
        _BOOK_SIDE,
    ),
    unnumbered(
        "market_position",
        "a position has changed",
        text("user_id", "the user"),
        _TICKER,
        count("position_fp", "contracts, negative for no"),
        dollars("position_cost_dollars", "what the position has cost"),
        dollars("realized_pnl_dollars", "profit or loss"),
        dollars("fees_paid_dollars", "the fees"),
        dollars("position_fee_cost_dollars", "the fees of the position"),
        count("volume_fp", "contracts traded"),
        _SUBACCOUNT,
    ),
    unnumbered(
        "user_order",
        "an own order has changed",
        text("order_id", "the order's UUID"),
        text("user_id", "the user's UUID"),
        text("ticker", "the market"),
        integer("exchange_index", "which of Kalshi's exchanges"),
        text("status", "resting, canceled, executed or unknown"),
        _SIDE,
        boolean("is_yes", "whether it is for yes; deprecated by Kalshi"),
        dollars("yes_price_dollars", "the price of yes"),
        count("fill_count_fp", "contracts filled"),
        count("remaining_count_fp", "contracts that are left"),
        count("initial_count_fp", "contracts at first"),
        dollars("taker_fill_cost_dollars", "what was paid as a taker", _MICRO),
        dollars("maker_fill_cost_dollars", "what was paid as a maker", _MICRO),
        dollars("taker_fees_dollars", "the fees as a taker", _MICRO),
        dollars("maker_fees_dollars", "the fees as a maker", _MICRO),
        text("client_order_id", "the own name of the order"),
        text("order_group_id", "the group of the order"),
        text("self_trade_prevention_type", "taker_at_cross or maker"),
        time("created_time", "when it was created; deprecated by Kalshi"),
        milliseconds("created_ts_ms", "when it was created"),
        time("last_update_time", "when it was changed; deprecated by Kalshi"),
        milliseconds("last_updated_ts_ms", "when it was changed"),
        time("expiration_time", "when it expires; deprecated by Kalshi"),
        milliseconds("expiration_ts_ms", "when it expires"),
        text("last_update_reason", "why it was changed"),
        integer("subaccount_number", "the subaccount"),
        _OUTCOME,
        _BOOK_SIDE,
    ),
    table(
        "order_group_updates",
        "a group of orders has changed",
        text("event_type", "created, triggered, reset, deleted or limit_updated"),
        text("order_group_id", "the group"),
        count("contracts_limit_fp", "the most contracts of the group"),
        milliseconds("ts_ms", "when it was changed"),
    ),
)

_RFQ = (
    text("id", "the request for a quote"),
    text("creator_id", "who made it, not by name"),
    _TICKER,
    text("event_ticker", "the event"),
    count("contracts_fp", "contracts"),
    dollars("target_cost_dollars", "what it may cost"),
)
_QUOTE = (
    text("quote_id", "the quote"),
    text("rfq_id", "the request that it answers"),
    text("quote_creator_id", "who made the quote, not by name"),
    text("rfq_creator_id", "who made the request, not by name"),
    _TICKER,
    text("event_ticker", "the event"),
    dollars("yes_bid_dollars", "the bid for yes"),
    dollars("no_bid_dollars", "the bid for no"),
    count("yes_contracts_offered_fp", "contracts offered for yes"),
    count("no_contracts_offered_fp", "contracts offered for no"),
    dollars("rfq_target_cost_dollars", "what the request may cost"),
)

_COMMUNICATIONS = (
    table(
        "rfq_created",
        "a quote was requested",
        *_RFQ,
        time("created_ts", "when"),
        text("mve_collection_ticker", "the collection of a market of several events"),
        json("mve_selected_legs", "its legs: a list of `event_ticker`, `market_ticker` and `side`"),
    ),
    table("rfq_deleted", "a request for a quote was deleted", *_RFQ, time("deleted_ts", "when")),
    table("quote_created", "a quote was made", *_QUOTE, time("created_ts", "when"), _SUBACCOUNT),
    table(
        "quote_accepted",
        "a quote was accepted",
        *_QUOTE,
        text("accepted_side", "yes or no"),
        count("contracts_accepted_fp", "contracts"),
        _SUBACCOUNT,
    ),
    table(
        "quote_executed",
        "a quote became a trade",
        *_QUOTE[:4],
        text("order_id", "the order"),
        text("client_order_id", "the own name of the order"),
        _TICKER,
        time("executed_ts", "when"),
        _SUBACCOUNT,
    ),
)

PRIVATE: Sequence[Table] = (*_ACCOUNT, *_COMMUNICATIONS)
