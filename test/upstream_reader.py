"""A small reader of the files of aaronwald/ssmd: its schemas, and what its ssmd-parquet-gen makes of a .jsonl.gz.

Written from its published schemas and not from ssmd's own:
https://github.com/aaronwald/ssmd/blob/main/docs/schemas/parquet-schemas.md
https://github.com/aaronwald/ssmd/blob/main/ssmd-rust/crates/ssmd-schemas/src/kalshi.rs
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa

TS = pa.timestamp("us", tz="UTC")
SCHEMAS: dict[str, tuple[str, str, list[tuple[str, Any, bool]]]] = {
    "ticker": (
        "kalshi_ticker",
        "1.3.0",
        [
            ("market_ticker", pa.string(), False),
            *((name, pa.int64(), True) for name in ("yes_bid", "yes_ask", "no_bid", "no_ask", "last_price")),
            ("volume", pa.int64(), True),
            ("open_interest", pa.int64(), True),
            ("ts", TS, False),
            ("exchange_clock", pa.int64(), True),
            ("sid", pa.int64(), True),
            ("_shard_id", pa.int64(), True),
            ("_nats_seq", pa.uint64(), False),
            ("_received_at", TS, False),
        ],
    ),
    "trade": (
        "kalshi_trade",
        "1.3.0",
        [
            ("market_ticker", pa.string(), False),
            ("price", pa.int64(), False),
            ("count", pa.int64(), False),
            ("side", pa.string(), False),
            ("ts", TS, False),
            ("trade_id", pa.string(), False),
            ("exchange_seq", pa.int64(), True),
            ("sid", pa.int64(), True),
            ("_shard_id", pa.int64(), True),
            ("_nats_seq", pa.uint64(), False),
            ("_received_at", TS, False),
        ],
    ),
    "market_lifecycle_v2": (
        "kalshi_lifecycle",
        "1.0.0",
        [
            ("market_ticker", pa.string(), False),
            ("event_type", pa.string(), False),
            ("open_ts", TS, True),
            ("close_ts", TS, True),
            ("additional_metadata", pa.string(), True),
            ("_nats_seq", pa.uint64(), False),
            ("_received_at", TS, False),
        ],
    ),
}
"""By the type of message: the name, the version, and the columns with their type and whether they may be NULL."""


def read_lines(path: Path) -> list[Any]:
    """Return the JSON documents of a .jsonl.gz."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def rows(documents: list[Any], kind: str) -> list[dict[str, Any]]:
    """Return the rows that its ssmd-parquet-gen makes of the messages of a type."""
    make = {"ticker": _ticker, "trade": _trade, "market_lifecycle_v2": _lifecycle}[kind]
    of_kind = [one for one in documents if isinstance(one, dict) and one.get("type") == kind]
    made = [make(one, one["msg"]) for one in of_kind if isinstance(one.get("msg"), dict)]
    names = [name for name, _, may_be_null in SCHEMAS[kind][2] if not may_be_null]
    return [row for row in made if all(row[name] is not None for name in names)]


def _pipeline(one: dict[str, Any]) -> dict[str, Any]:
    return {"_nats_seq": one["_nats_seq"], "_received_at": one["_received_at"]}


def _outer(one: dict[str, Any]) -> dict[str, Any]:
    return {"sid": _i64(one.get("sid")), "_shard_id": _i64(one.get("_shard_id")), **_pipeline(one)}


def _ticker(one: dict[str, Any], msg: dict[str, Any]) -> dict[str, Any]:
    prices = {name: _cents(msg, name, f"{name}_dollars") for name in ("yes_bid", "yes_ask", "no_bid", "no_ask")}
    return {
        "market_ticker": _str(msg.get("market_ticker")),
        **prices,
        "last_price": _cents(msg, "price", "price_dollars"),
        "volume": _count(msg, "volume"),
        "open_interest": _count(msg, "open_interest"),
        "ts": _seconds(msg.get("ts")),
        "exchange_clock": _i64(msg.get("Clock")),
        **_outer(one),
    }


def _trade(one: dict[str, Any], msg: dict[str, Any]) -> dict[str, Any]:
    price = _i64(msg.get("yes_price", msg.get("price")))
    return {
        "market_ticker": _str(msg.get("market_ticker")),
        "price": _cents(msg, "", "yes_price_dollars") if price is None else price,
        "count": _count(msg, "count"),
        "side": _str(msg.get("taker_side", msg.get("side"))),
        "ts": _seconds(msg.get("ts")),
        "trade_id": _str(msg.get("trade_id")),
        "exchange_seq": _i64(one.get("seq")),
        **_outer(one),
    }


def _lifecycle(one: dict[str, Any], msg: dict[str, Any]) -> dict[str, Any]:
    extra = msg.get("additional_metadata")
    return {
        "market_ticker": _str(msg.get("market_ticker")),
        "event_type": _str(msg.get("event_type")),
        "open_ts": _seconds(msg.get("open_ts")),
        "close_ts": _seconds(msg.get("close_ts")),
        "additional_metadata": None if extra is None else json.dumps(extra, separators=(",", ":"), ensure_ascii=False),
        **_pipeline(one),
    }


def _str(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _i64(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 else None


def _seconds(value: Any) -> int | None:
    seconds = _i64(value)
    return None if seconds is None else seconds * 1_000_000


def _f64(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _cents(msg: dict[str, Any], cents: str, dollars: str) -> int | None:
    whole, value = _i64(msg.get(cents)), _f64(msg.get(dollars))
    if whole is not None or value is None:
        return whole
    # Rust's f64::round() rounds half away from zero.
    return int(math.copysign(math.floor(abs(value * 100.0) + 0.5), value))


def _count(msg: dict[str, Any], name: str) -> int | None:
    whole, value = _i64(msg.get(name)), _f64(msg.get(f"{name}_fp"))
    return whole if whole is not None or value is None else int(value)
