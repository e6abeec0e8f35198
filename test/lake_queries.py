"""The statements in docs/lake.md, and what they have to answer for a day of market_days.py."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from market_days import DAY, TICKERS, Sent

QUESTIONS = (
    "The last price per minute",
    "The ten busiest markets",
    "The latency from the exchange to us",
    "The gaps per hour",
    "All trades of one market in a second",
    "Everything of one market",
)
_DOCUMENT = Path(__file__).parent.parent / "docs" / "lake.md"


def statement(question: str) -> str:
    """Return the statement that follows a question in the document."""
    match = re.search(rf"\*\*{re.escape(question)}\*\*.*?```sql\n(.*?)```", _DOCUMENT.read_text(), re.DOTALL)
    assert match is not None, question
    assert match[1].count(";") == 1
    return match[1]


def answer(question: str, sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    """Return the rows that a statement has to answer, from the messages of the day in order."""
    answers = (_last_prices, _busiest, _latency, _gaps, _trades, _everything)
    return answers[QUESTIONS.index(question)](sent)


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def _of_market(sent: Iterable[Sent]) -> list[Sent]:
    return [one for one in sent if one.message["type"] == "trade" and one.body["market_ticker"] == TICKERS[0]]


def _last_prices(sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    last = {
        _time(one.received_us).replace(second=0, microsecond=0): Decimal(one.body["yes_price_dollars"])
        for one in _of_market(sent)
    }
    return sorted(last.items())


def _busiest(sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    messages = Counter(one.body["market_ticker"] for one in sent)
    trades = Counter(one.body["market_ticker"] for one in sent if one.message["type"] == "trade")
    rows = sorted((-count, market) for market, count in messages.items())[:10]
    return [(market, -count, trades[market]) for count, market in rows]


def _latency(sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    rows = []
    for kind in sorted({one.message["type"] for one in sent}):
        of_kind = [one for one in sent if one.message["type"] == kind]
        found = sorted((one.received_us - 1000 * one.body["ts_ms"]) / 1000 for one in of_kind)
        at = 0.99 * (len(found) - 1)
        low = int(at)
        p99 = found[low] + (found[min(low + 1, len(found) - 1)] - found[low]) * (at - low)
        rows.append((kind, len(found), statistics.median(found), p99, found[-1]))
    return rows


def _gaps(sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    gaps: Counter[datetime] = Counter()
    missing: Counter[datetime] = Counter()
    last: dict[int, int] = {}
    for one in sent:
        if (seq := one.message.get("seq")) is not None:
            step = seq - last.get(one.message["sid"], seq - 1)
            last[one.message["sid"]] = seq
            if step > 1:
                hour = _time(one.received_us).replace(minute=0, second=0, microsecond=0)
                gaps[hour] += 1
                missing[hour] += step - 1
    return [(hour, gaps[hour], missing[hour]) for hour in sorted(gaps)]


def _trades(sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    begin = datetime.fromisoformat(f"{DAY}T14:02:00+00:00")
    return [
        (
            _time(one.received_us),
            one.body["trade_id"],
            Decimal(one.body["yes_price_dollars"]),
            Decimal(one.body["count_fp"]),
            one.body["taker_outcome_side"],
        )
        for one in _of_market(sent)
        if _time(one.received_us).replace(microsecond=0) == begin
    ]


def _everything(sent: Sequence[Sent]) -> list[tuple[Any, ...]]:
    numbers = ("price_dollars", "delta_fp", "yes_price_dollars", "count_fp")
    return [
        (
            _time(one.received_us),
            one.message["type"],
            one.body.get("side"),
            *(Decimal(one.body[name]) if name in one.body else None for name in numbers),
        )
        for one in sent
        if one.body["market_ticker"] == TICKERS[-1]
    ]


def rows_of(duckdb: Any, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows that a connection to DuckDB answers. By way of Arrow: its own way needs one package more."""
    return rounded(tuple(row.values()) for row in duckdb.sql(statement).to_arrow_table().to_pylist())


def rounded(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return rows with floats that may be compared, and times in UTC."""
    return [tuple(map(_rounded, row)) for row in rows]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return value.astimezone(UTC) if isinstance(value, datetime) else value
