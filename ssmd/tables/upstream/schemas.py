"""The Parquet schemas of aaronwald/ssmd for Kalshi, and beside their columns the exact ones. Pure.

Its columns come first, with the names, kinds and order of its schema, so that its readers find what they expect. Behind
`_received_at` are those that ssmd adds: named like the exchange's fields, and exact.
https://github.com/aaronwald/ssmd/blob/main/ssmd-rust/crates/ssmd-schemas/src/kalshi.rs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.tables.upstream.values import (
    Take,
    cents,
    decimal,
    first_of,
    flag,
    seconds,
    text,
    whole,
    whole_of,
    written_out,
)

__all__ = ["COUNT", "DOLLARS", "FLAG", "INTEGER", "NATURAL", "SCHEMAS", "TEXT", "TIME", "Column", "Kind", "Schema"]

TEXT, INTEGER, NATURAL, TIME, FLAG = "text", "integer", "natural", "time", "flag"
"""The kinds: Utf8, Int64, UInt64, Timestamp(us, UTC), Boolean."""
DOLLARS, COUNT = (18, 6), (18, 2)
"""Further kinds: the digits and the decimal places of a DECIMAL."""
Kind = str | tuple[int, int]


class Column(NamedTuple):
    name: str
    kind: Kind
    take: Take
    """Takes its value out of `msg`, or out of the whole message when `outer` is set."""
    required: bool = False
    """A message without it has no row."""
    outer: bool = False


class Schema(NamedTuple):
    name: str
    version: str
    columns: Sequence[Column]

    def row(self, message: Mapping[str, Any], sequence: int, received_us: int) -> tuple[Any, ...] | None:
        """Return the values of a message's row; None when it has no row.

        `sequence`: its `_nats_seq`. `received_us`: its `_received_at`.
        """
        body = message.get("msg")
        if not isinstance(body, dict):
            return None
        outer = {**message, _SEQUENCE: sequence, _RECEIVED: received_us}
        values = tuple(column.take(outer if column.outer else body) for column in self.columns)
        for column, value in zip(self.columns, values, strict=True):
            if column.required and value is None:
                return None
        return values


_SEQUENCE, _RECEIVED = "_nats_seq", "_received_at"


def _pipeline(sid: bool = True) -> Iterator[Column]:
    """The columns that its pipeline adds."""
    if sid:
        yield Column("sid", INTEGER, whole("sid"), outer=True)
        yield Column("_shard_id", INTEGER, whole("_shard_id"), outer=True)
    yield Column(_SEQUENCE, NATURAL, whole(_SEQUENCE), required=True, outer=True)
    yield Column(_RECEIVED, TIME, whole(_RECEIVED), required=True, outer=True)


def _price(name: str, old: str, new: str) -> Column:
    return Column(name, INTEGER, first_of(whole(old), cents(new)))


def _count(name: str) -> Column:
    return Column(name, INTEGER, first_of(whole(name), whole_of(f"{name}_fp")))


def _exact(kind: Kind, *names: str) -> Iterator[Column]:
    """The columns that ssmd adds, named like the fields."""
    for name in names:
        if isinstance(kind, tuple):
            yield Column(name, kind, decimal(name, *kind))
        else:
            yield Column(name, kind, {TEXT: text, INTEGER: whole, FLAG: flag}[kind](name))


_TICKER = Column("market_ticker", TEXT, text("market_ticker"), required=True)
# `ts` is deprecated, and `ts_ms` is to replace it: https://docs.kalshi.com/changelog
_TS = Column("ts", TIME, first_of(seconds("ts"), seconds("ts_ms", 1000)), required=True)

SCHEMAS: Mapping[str, Schema] = {
    "ticker": Schema(
        "kalshi_ticker",
        "1.3.0",
        (
            _TICKER,
            _price("yes_bid", "yes_bid", "yes_bid_dollars"),
            _price("yes_ask", "yes_ask", "yes_ask_dollars"),
            _price("no_bid", "no_bid", "no_bid_dollars"),
            _price("no_ask", "no_ask", "no_ask_dollars"),
            _price("last_price", "price", "price_dollars"),
            _count("volume"),
            _count("open_interest"),
            _TS,
            Column("exchange_clock", INTEGER, whole("Clock")),
            *_pipeline(),
            *_exact(DOLLARS, "price_dollars", "yes_bid_dollars", "yes_ask_dollars"),
            *_exact(COUNT, "volume_fp", "open_interest_fp"),
            *_exact(COUNT, "yes_bid_size_fp", "yes_ask_size_fp", "last_trade_size_fp"),
            *_exact(INTEGER, "dollar_volume", "dollar_open_interest", "ts_ms"),
            *_exact(TEXT, "market_id"),
        ),
    ),
    "trade": Schema(
        "kalshi_trade",
        "1.3.0",
        (
            _TICKER,
            Column("price", INTEGER, first_of(whole("yes_price"), whole("price"), cents("yes_price_dollars")), True),
            _count("count")._replace(required=True),
            Column("side", TEXT, first_of(*map(text, ("taker_side", "side", "taker_outcome_side"))), required=True),
            _TS,
            Column("trade_id", TEXT, text("trade_id"), required=True),
            Column("exchange_seq", INTEGER, whole("seq"), outer=True),
            *_pipeline(),
            *_exact(DOLLARS, "yes_price_dollars", "no_price_dollars"),
            *_exact(COUNT, "count_fp"),
            *_exact(TEXT, "taker_outcome_side", "taker_book_side"),
            *_exact(FLAG, "is_block_trade"),
            *_exact(INTEGER, "ts_ms"),
        ),
    ),
    "market_lifecycle_v2": Schema(
        "kalshi_lifecycle",
        "1.0.0",
        (
            _TICKER,
            Column("event_type", TEXT, text("event_type"), required=True),
            Column("open_ts", TIME, seconds("open_ts")),
            Column("close_ts", TIME, seconds("close_ts")),
            Column("additional_metadata", TEXT, written_out("additional_metadata")),
            *_pipeline(sid=False),
            *_exact(DOLLARS, "settlement_value"),
            *_exact(INTEGER, "determination_ts", "settled_ts", "exchange_index"),
            *_exact(TEXT, "result", "price_level_structure"),
            *_exact(FLAG, "is_deactivated"),
        ),
    ),
}
"""By the type of message."""
