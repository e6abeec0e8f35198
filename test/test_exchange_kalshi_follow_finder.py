"""What is remembered of markets that have come and gone: nothing."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from test_exchange_kalshi_updates import NOW_MS, Exchange

_LISTS = (list, set, frozenset, deque, tuple)
_FOLLOW = {"channels": ["orderbook_delta", "trade"], "follow": {"series": ["KX"], "tickers": ["KY-*"]}}


def change(kind: str, ticker: str, **more: Any) -> bytes:
    msg = {"event_type": kind, "market_ticker": ticker, **more}
    return json.dumps({"type": "market_lifecycle_v2", "msg": msg}).encode()


def containers(root: object) -> Iterator[tuple[str, int]]:
    """Yield the place and the length of each container that belongs to an object."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        place, found = waiting.pop()
        if id(found) in seen or isinstance(found, str | bytes | int | float | type | None):
            continue
        seen.add(id(found))
        if isinstance(found, dict):
            yield place, len(found)
            waiting += [(f"{place}[{key!r}]", value) for key, value in found.items()]
        elif isinstance(found, _LISTS):
            yield place, len(found)
            waiting += [(f"{place}[]", value) for value in found]
        else:
            slots = (name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ()))
            names = {*getattr(found, "__dict__", ()), *slots}
            waiting += [(f"{place}.{name}", getattr(found, name)) for name in names if hasattr(found, name)]


def test_nothing_is_kept_of_markets_that_are_over():
    """Of each round, a third waits for a series that never comes, and a third has messages although it is unknown."""
    exchange = Exchange(_FOLLOW)
    exchange.settle()
    rounds, born = 10, 90
    for number in range(rounds):
        event = f"KXE-{number}"
        series = {"type": "event_lifecycle", "msg": {"event_ticker": event, "series_ticker": "KX"}}
        opens = exchange.now_ms // 1000 + 5
        markets = [f"{'KX' if index % 2 else 'KY'}-{number}-{index}" for index in range(born)]
        payloads = [json.dumps(series).encode()]
        for index, ticker in enumerate(markets):
            if index % 3 == 2:
                payloads.append(change("close_date_updated", ticker, close_ts=opens + 9))
                continue
            of = {"event_ticker": event if index % 3 else f"{ticker}-EVENT"}
            payloads.append(change("created", ticker, open_ts=opens, close_ts=opens + 10, additional_metadata=of))
        exchange._take(exchange.kalshi.inspect(payloads))
        exchange.settle(20)
        kinds = ("determined", "settled")
        exchange._take(exchange.kalshi.inspect([change(kind, ticker) for ticker in markets for kind in kinds]))
        exchange.settle(2)
    assert exchange.commands
    exchange.settle(100)
    assert exchange.now_ms > NOW_MS
    assert exchange.counts("trade") == (0, 0, 0)
    # One series is remembered of each event.
    large = [(place, length) for place, length in containers(exchange.kalshi) if length > rounds + 5]
    assert large == []
