"""Recorded days of a market that is made up, with messages like Kalshi's, for tests of Parquet and of exports."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.proof.seal import seal
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

DAY = "2026-11-27"
TICKERS = [f"KXBTC-26NOV27-B{60 + number}.5" for number in range(12)]
BURST = 14 * 3600 + 2 * 60
"""A second of the day."""
ODD = [
    b'{"type":"trade","sid":2,"seq":7,"msg":{"market_ticker":"KX-ODD","count_fp":"12345678901234567890.00"}}',
    b'{"type": "trade", "msg": {"market_ticker": "KX-\\u00e9"}, "type": "again"}',
    b'{"type":"trade","sid":18446744073709551616,"msg":null,"new":[1.0e5,1E400]}',
    b'{ }',
    b'[{"a":1},{"b":2}]',
    b'"a } string"',
    b"17",
    b"pong }",
    b'{"type":"ticker","msg":{',
    b"\xff\xfe}",
]
"""Messages that no table fits, and some that are not JSON at all."""


class Sent(NamedTuple):
    """A message of the day."""

    received_us: int
    message: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.message["msg"]
        return body


def messages(
    day: str = DAY, count: int = 2000, lost: Iterable[int] = (), seed: int = 1, burst: int = 0
) -> Iterator[Sent]:
    """Yield `count` messages over a whole day, in order, and `burst` more in the second of BURST.

    Before the messages with the numbers in `lost`, counted from 0, two messages of each numbered channel are missing.
    """
    some = random.Random(seed)
    begin_us, gone = day_begins(day) // 1000, frozenset(lost)
    seqs = {1: 0, 2: 0}
    times = [number * 86_400_000_000 // count + some.randrange(1000) for number in range(count)]
    times += [BURST * 1_000_000 + number * 1_000_000 // burst for number in range(burst)]
    for number, after_us in enumerate(sorted(times)):
        received_us = begin_us + after_us
        sent_ms = received_us // 1000 - some.randrange(3, 60)
        if number in gone:
            seqs = {sid: seq + 2 for sid, seq in seqs.items()}
        ticker = TICKERS[min(some.randrange(len(TICKERS)), some.randrange(len(TICKERS)))]
        kind = ("orderbook_delta",) * 6 + ("ticker",) * 2 + ("trade",) * 2
        yield Sent(received_us, _message(some, kind[number % 10], ticker, sent_ms, seqs))


def _message(some: random.Random, kind: str, ticker: str, ms: int, seqs: dict[int, int]) -> dict[str, Any]:
    price, size = some.randrange(1, 100), some.randrange(1, 50_000)
    sid = {"orderbook_delta": 1, "trade": 2, "ticker": 3}[kind]
    head: dict[str, Any] = {"type": kind, "sid": sid}
    if sid in seqs:
        seqs[sid] += 1
        head["seq"] = seqs[sid]
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:23] + "000Z"
    if kind == "orderbook_delta":
        body: dict[str, Any] = {
            "market_ticker": ticker,
            "market_id": f"31185e50-0db4-4c57-b95d-{zlib.crc32(ticker.encode()):012x}",
            "price_dollars": f"0.{price:02d}00",
            "delta_fp": f"{some.choice('- ').strip()}{size / 100:.2f}",
            "side": some.choice(("yes", "no")),
            "ts": text,
            "ts_ms": ms,
        }
    elif kind == "ticker":
        body = {
            "market_id": f"31185e50-0db4-4c57-b95d-{zlib.crc32(ticker.encode()):012x}",
            "market_ticker": ticker,
            "price_dollars": f"0.{price:02d}00",
            "yes_bid_dollars": f"0.{price - 1:02d}50",
            "yes_ask_dollars": f"0.{price:02d}50",
            "volume_fp": f"{size}.00",
            "open_interest_fp": f"{size / 2:.2f}",
            "dollar_volume": size // 2,
            "dollar_open_interest": size // 4,
            "yes_bid_size_fp": f"{size / 7:.2f}",
            "yes_ask_size_fp": f"{size / 9:.2f}",
            "last_trade_size_fp": "1.50",
            "ts": ms // 1000,
            "ts_ms": ms,
            "time": text,
        }
    else:
        side = some.choice(("yes", "no"))
        body = {
            "trade_id": f"6f2c1a30-77d1-4b02-9d4e-{some.getrandbits(48):012x}",
            "market_ticker": ticker,
            "yes_price_dollars": f"0.{price:02d}00",
            "no_price_dollars": f"0.{100 - price:02d}00",
            "count_fp": f"{size / 100:.2f}",
            "taker_side": side,
            "taker_outcome_side": side,
            "taker_book_side": "bid" if side == "yes" else "ask",
            "ts": ms // 1000,
            "ts_ms": ms,
        }
    return {**head, "msg": body}


def write_market_day(
    storage: Path,
    day: str = DAY,
    *,
    feed: str = "kalshi",
    shard: Shard = WHOLE,
    count: int = 2000,
    lost: Iterable[int] = (),
    odd: Iterable[bytes] = (),
    seed: int = 1,
    burst: int = 0,
    sealed: bool = True,
) -> Path:
    """Write a day of messages() with its ledger, and return its data file. `odd`: further messages at its end."""
    folder = storage / day
    folder.mkdir(parents=True, exist_ok=True)
    begin_ns, encoder = day_begins(day), LineEncoder(feed)
    sent = [
        (one.received_us * 1000, json.dumps(one.message, separators=(",", ":")).encode())
        for one in messages(day, count, lost, seed, burst)
    ]
    sent += [(begin_ns + 86_399_000_000_000, message) for message in odd]
    lines = [encoder.encode(ns, [message]) for ns, message in sent]
    fields = {"shard": shard.label} if shard.label else {}
    entries = [
        Entry(begin_ns, "started", 0, 0, {"version": "9.9", "exchange": "kalshi", **fields}),
        Entry(begin_ns, "connected", 0, 0, {}),
    ]
    size = sum(map(len, lines))
    totals = {"reason": "end", "lines": len(lines), "bytes": size}
    entries.append(Entry(begin_ns + 86_399_500_000_000, "stopped", size, len(lines), totals))
    path = folder / f"{shard.stem(feed)}.jsonl"
    path.write_bytes(b"".join(lines))
    (folder / f"{shard.stem(feed)}.ledger.jsonl").write_bytes(b"".join(map(encode_entry, entries)))
    if sealed:
        [file] = data_files([path])
        assert seal(file, begin_ns + 2 * 86_400_000_000_000) is not None
    return path
