"""A message of each type that Kalshi documents, with every field of it (https://docs.kalshi.com/asyncapi.yaml)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DOCUMENTED", "ids"]

_ID = "6f1c9d0e-7a55-4c1b-9d3e-2b8f4a6c1e90"
_OTHER_ID = "0d3f5b7a-1c2e-4f60-8a9b-5c6d7e8f9a0b"
_TICKER = "KXBTCD-26NOV2817-T69499.99"
_S, _MS = 1795881600, 1795881600123
_TIME, _SHORT_TIME = "2026-11-28T16:00:00.123456Z", "2026-11-28T16:00:00Z"
_METADATA = {
    "name": "Above 69,499.99",
    "title": "Bitcoin at 5 pm",
    "yes_sub_title": "69,500 or more",
    "no_sub_title": "Less than 69,500",
    "rules_primary": "The index decides.",
    "rules_secondary": "",
    "can_close_early": True,
    "event_ticker": "KXBTCD-26NOV2817",
    "expected_expiration_ts": _S,
    "strike_type": "greater",
    "floor_strike": 69499.99,
    "cap_strike": 70000,
    "custom_strike": {"round_digits": "2"},
}
_AVERAGE = {
    "value": "69501.25000000",
    "window_size": 3,
    "window_start_ts_ms": _MS - 60_000,
    "window_end_ts_exclusive": _MS,
}
_RFQ = {
    "id": "rfq_1",
    "creator_id": "0",
    "market_ticker": _TICKER,
    "event_ticker": "KXBTCD-26NOV2817",
    "contracts_fp": "10.00",
    "target_cost_dollars": "3.50",
}
_LEG = {
    "event_ticker": "KXBTCD-26NOV2817",
    "market_ticker": _TICKER,
    "side": "no",
    "yes_settlement_value_dollars": "1.0000",
}
_PARTIES = {
    "quote_id": "quote_1",
    "rfq_id": "rfq_1",
    "quote_creator_id": "a1b2",
    "rfq_creator_id": "",
    "market_ticker": _TICKER,
}
_QUOTE = {
    **_PARTIES,
    "event_ticker": "KXBTCD-26NOV2817",
    "yes_bid_dollars": "0.3500",
    "no_bid_dollars": "0.65",
    "yes_contracts_offered_fp": "10.00",
    "no_contracts_offered_fp": "12.50",
    "rfq_target_cost_dollars": "3.5000",
}


def _message(type: str, msg: object = None, **head: int) -> dict[str, Any]:
    return {"type": type, **head} | ({} if msg is None else {"msg": msg})


def _change(**fields: object) -> dict[str, object]:
    return {"market_ticker": _TICKER, **fields}


_BOOKS = [
    _message(
        "orderbook_snapshot",
        {
            "market_ticker": _TICKER,
            "market_id": _ID,
            "yes_dollars_fp": [["0.0800", "300.00"], ["0.2200", "333.50"]],
            "no_dollars_fp": [["0.5400", "20.00"]],
        },
        id=7,
        sid=1,
        seq=1,
    ),
    _message("orderbook_snapshot", {"market_ticker": _TICKER, "market_id": _ID}, sid=1, seq=2),
    _message(
        "orderbook_delta",
        {
            "market_ticker": _TICKER,
            "market_id": _ID,
            "price_dollars": "0.960",
            "delta_fp": "-54.00",
            "side": "yes",
            "ts": _TIME,
            "ts_ms": _MS,
            "client_order_id": "mine",
            "subaccount": 3,
        },
        sid=1,
        seq=3,
    ),
]

_MARKET_DATA = [
    _message(
        "ticker",
        {
            "market_id": _ID,
            "market_ticker": _TICKER,
            "price_dollars": "0.4800",
            "yes_bid_dollars": "0.4500",
            "yes_ask_dollars": "0.5300",
            "volume_fp": "33896.00",
            "open_interest_fp": "20422.25",
            "dollar_volume": 16948,
            "dollar_open_interest": -1,
            "yes_bid_size_fp": "300.00",
            "yes_ask_size_fp": "0.00",
            "last_trade_size_fp": "0.09",
            "ts": _S,
            "ts_ms": _MS,
            "time": _SHORT_TIME,
        },
        sid=2,
    ),
    _message(
        "trade",
        {
            "trade_id": _ID,
            "market_ticker": _TICKER,
            "yes_price_dollars": "0.3600",
            "no_price_dollars": "0.6400",
            "count_fp": "136.00",
            "taker_side": "no",
            "taker_outcome_side": "no",
            "taker_book_side": "ask",
            "is_block_trade": False,
            "ts": _S,
            "ts_ms": _MS,
        },
        sid=3,
        seq=2,
    ),
    _message(
        "cfbenchmarks_value",
        {
            "index_id": "BRTI",
            "received_at": _MS,
            "data": '{"type":"value"}',
            "avg_60s_data": _AVERAGE,
            "last_60s_windowed_average_15min": {**_AVERAGE, "window_size": 60},
        },
        sid=4,
        seq=42,
    ),
    _message(
        "cfbenchmarks_value_5hz",
        {"index_id": "BRTI", "value_usd": "69501.25000000", "source_ts_ms": _MS, "received_at": _MS, "data": "{}"},
        sid=5,
        seq=1,
    ),
    _message(
        "pyth_value",
        {"underlying_ticker": "Metal.XAU/USD", "value_usd": "4365.12345000", "source_ts_ms": _MS, "received_at": _MS},
        sid=6,
        seq=1,
    ),
    _message("cfbenchmarks_value_indexlist", {"index_ids": ["BRTI"]}, id=8, sid=4, seq=43),
    _message("cfbenchmarks_value_5hz_indexlist", {"index_ids": []}, id=9, sid=5, seq=2),
    _message("pyth_value_underlying_list", {"underlying_tickers": ["Metal.XAU/USD"]}, id=10, sid=6, seq=2),
]

_LIFECYCLE = [
    _message(type, msg, sid=7, seq=number)
    for type in ("market_lifecycle_v2", "multivariate_market_lifecycle")
    for number, msg in enumerate(
        (
            _change(
                event_type="created",
                exchange_index=0,
                open_ts=_S,
                close_ts=_S,
                price_level_structure="linear_cent",
                price_ranges=[{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
                additional_metadata=_METADATA,
            ),
            _change(event_type="deactivated", is_deactivated=True),
            _change(event_type="close_date_updated", close_ts=_S),
            _change(event_type="determined", determination_ts=_S, result="scalar", settlement_value="0.5000"),
            _change(event_type="settled", settled_ts=_S),
            _change(event_type="fractional_trading_updated", fractional_trading_enabled=True),
            _change(
                event_type="metadata_updated",
                strike_type="between",
                floor_strike=95000,
                cap_strike=95250.5,
                custom_strike={},
                yes_sub_title="above 95,000",
            ),
        ),
        1,
    )
]
_EVENTS = [
    _message(
        "event_lifecycle",
        {
            "event_ticker": "KXBTCD-26NOV2817",
            "exchange_index": 0,
            "title": "Bitcoin at 5 pm",
            "subtitle": "",
            "collateral_return_type": "MECNET",
            "series_ticker": "KXBTCD",
            "strike_date": _S,
            "strike_period": "hour",
        },
        sid=7,
        seq=8,
    ),
    *(
        _message(
            "event_fee_update",
            {"event_ticker": "KXBTCD-26NOV2817", "fee_type_override": kind, "fee_multiplier_override": factor},
            sid=7,
            seq=9,
        )
        for kind, factor in (("quadratic", 0.5), ("flat", 1), (None, None))
    ),
]

_ACCOUNT = [
    _message(
        "fill",
        {
            "trade_id": _ID,
            "order_id": _OTHER_ID,
            "client_order_id": "mine",
            "market_ticker": _TICKER,
            "exchange_index": 2,
            "is_taker": True,
            "side": "yes",
            "yes_price_dollars": "0.7500",
            "count_fp": "278.00",
            "fee_cost": "0.010000",
            "action": "buy",
            "ts": _S,
            "ts_ms": _MS,
            "post_position_fp": "-500.00",
            "purchased_side": "yes",
            "outcome_side": "yes",
            "book_side": "bid",
            "subaccount": 3,
        },
        sid=8,
    ),
    _message(
        "market_position",
        {
            "user_id": "user",
            "market_ticker": _TICKER,
            "position_fp": "-100.00",
            "position_cost_dollars": "50.0000",
            "realized_pnl_dollars": "-10.0000",
            "fees_paid_dollars": "1.0000",
            "position_fee_cost_dollars": "0.5000",
            "volume_fp": "15.00",
            "subaccount": 3,
        },
        sid=9,
    ),
    _message(
        "user_order",
        {
            "order_id": _OTHER_ID,
            "user_id": _ID,
            "ticker": _TICKER,
            "exchange_index": 2,
            "status": "resting",
            "side": "yes",
            "is_yes": True,
            "outcome_side": "yes",
            "book_side": "bid",
            "yes_price_dollars": "0.3500",
            "fill_count_fp": "0.00",
            "remaining_count_fp": "10.00",
            "initial_count_fp": "10.00",
            "taker_fill_cost_dollars": "0.000000",
            "maker_fill_cost_dollars": "0.000000",
            "taker_fees_dollars": "0.000000",
            "maker_fees_dollars": "0.000000",
            "client_order_id": "mine",
            "order_group_id": "group",
            "self_trade_prevention_type": "taker_at_cross",
            "created_time": None,
            "created_ts_ms": None,
            "last_update_time": _TIME,
            "last_updated_ts_ms": _MS,
            "expiration_time": _SHORT_TIME,
            "expiration_ts_ms": _MS,
            "last_update_reason": "SelfTradeCancel",
            "subaccount_number": 0,
        },
        sid=10,
    ),
    _message(
        "order_group_updates",
        {"event_type": "limit_updated", "order_group_id": "group", "contracts_limit_fp": "150.00", "ts_ms": _MS},
        sid=11,
        seq=7,
    ),
]

_COMMUNICATIONS = [
    _message(
        "rfq_created",
        {**_RFQ, "created_ts": _SHORT_TIME, "mve_collection_ticker": "KXMVE", "mve_selected_legs": [_LEG]},
        sid=12,
        seq=11,
    ),
    _message("rfq_deleted", {**_RFQ, "deleted_ts": _SHORT_TIME}, sid=12, seq=12),
    _message("quote_created", {**_QUOTE, "created_ts": _SHORT_TIME, "subaccount": 3}, sid=12, seq=13),
    _message(
        "quote_accepted",
        {**_QUOTE, "accepted_side": "yes", "contracts_accepted_fp": "5.00", "subaccount": 3},
        sid=12,
        seq=14,
    ),
    _message(
        "quote_executed",
        {**_PARTIES, "order_id": "order", "client_order_id": "mine", "executed_ts": _SHORT_TIME, "subaccount": 3},
        sid=12,
        seq=15,
    ),
]

_REPLIES = [
    _message("subscribed", {"channel": "ticker", "sid": 2}, id=1),
    _message("ok", {"market_tickers": [_TICKER], "market_ids": [_ID]}, id=2, sid=1, seq=4),
    _message("ok", {"index_ids": ["all"]}, sid=4, seq=44),
    _message("ok", {"underlying_tickers": ["all"]}, sid=6, seq=3),
    _message("ok", [{"channel": "ticker", "sid": 2}], id=3),
    _message("ok", id=4),
    _message("unsubscribed", id=5, sid=2, seq=7),
    _message("error", {"code": 8, "msg": "Unknown channel name"}, id=6),
    _message(
        "error",
        {"code": 26, "msg": "Too many", "market_ticker": _TICKER, "market_id": _ID, "market_tickers": [_TICKER]},
        id=7,
        sid=1,
        seq=5,
    ),
]

DOCUMENTED: Sequence[Mapping[str, Any]] = (
    *_BOOKS, *_MARKET_DATA, *_LIFECYCLE, *_EVENTS, *_ACCOUNT, *_COMMUNICATIONS, *_REPLIES
)  # fmt: skip


def ids(message: Mapping[str, Any]) -> str:
    """Return the name of a test that is about a message."""
    body = message.get("msg")
    return f"{message['type']}-{body.get('event_type', '')}" if isinstance(body, dict) else str(message["type"])
