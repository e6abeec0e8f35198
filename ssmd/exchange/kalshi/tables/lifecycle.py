"""The tables of what happens to markets and events: created, activated, determined and so on."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.table import Table
from ssmd.exchange.kalshi.tables.columns import (
    boolean,
    dollars,
    integer,
    json,
    number,
    seconds,
    table,
    text,
)

__all__ = ["LIFECYCLE"]

_MARKET = (
    text("market_ticker", "the market"),
    text("event_type", "what has happened, such as created or determined"),
    integer("exchange_index", "which of Kalshi's exchanges has the market"),
    seconds("open_ts", "when it opens"),
    seconds("close_ts", "when it closes"),
    seconds("determination_ts", "when it was determined"),
    seconds("settled_ts", "when it was settled"),
    text("result", "yes, no or scalar"),
    dollars("settlement_value", "what a contract for yes is worth"),
    boolean("is_deactivated", "whether trading is paused"),
    boolean("fractional_trading_enabled", "whether parts of contracts can be traded; not sent any more"),
    text("price_level_structure", "the name of the rule for price steps"),
    json("price_ranges", "the price steps: a list of `start`, `end` and `step`"),
    text("strike_type", "how the strikes are meant"),
    number("floor_strike", "the lower strike"),
    number("cap_strike", "the upper strike"),
    json("custom_strike", "other strikes, an object"),
    text("yes_sub_title", "what yes means"),
    text("additional_metadata.name", "the market's name"),
    text("additional_metadata.title", "the market's title"),
    text("additional_metadata.yes_sub_title", "what yes means"),
    text("additional_metadata.no_sub_title", "what no means"),
    text("additional_metadata.rules_primary", "the rules"),
    text("additional_metadata.rules_secondary", "further rules"),
    boolean("additional_metadata.can_close_early", "whether it may close before its time"),
    text("additional_metadata.event_ticker", "the event that the market belongs to"),
    seconds("additional_metadata.expected_expiration_ts", "when it is expected to be determined"),
    text("additional_metadata.strike_type", "how the strikes are meant"),
    number("additional_metadata.floor_strike", "the lower strike"),
    number("additional_metadata.cap_strike", "the upper strike"),
    json("additional_metadata.custom_strike", "other strikes, an object"),
)

LIFECYCLE: Sequence[Table] = (
    table("market_lifecycle_v2", "something has happened to a market", *_MARKET),
    table("multivariate_market_lifecycle", "something has happened to a market of several events", *_MARKET),
    table(
        "event_lifecycle",
        "an event was created",
        text("event_ticker", "the event"),
        text("title", "its title"),
        text("subtitle", "its subtitle"),
        integer("exchange_index", "which of Kalshi's exchanges has it"),
        text("collateral_return_type", "MECNET, DIRECNET or empty"),
        text("series_ticker", "the series that it belongs to"),
        seconds("strike_date", "when it is decided"),
        text("strike_period", "the period that it is about"),
    ),
    table(
        "event_fee_update",
        "the fees of an event have changed",
        text("event_ticker", "the event"),
        text("fee_type_override", "the kind of fee; NULL when it is that of the series again"),
        number("fee_multiplier_override", "the factor of the fee; NULL as above"),
    ),
)
