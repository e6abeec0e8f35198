"""Markets, events and series as they are in REST answers: JSON with the fields of https://docs.kalshi.com/openapi.yaml.

The market objects have only what is the same for every client. Books and trades are made up for each connection, so
here a market has no bid, no offer, and no trade.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ssmd.sim.births import SECOND, Births, Family
from ssmd.sim.born import Born, Listed
from ssmd.sim.lifecycle import RULES, name_of
from ssmd.sim.universe import Universe

__all__ = ["compact", "event_text", "list_text", "market_text", "series_text"]

_DAY = 86_400

_MARKET = (
    '{"ticker":%s,"event_ticker":%s,"market_type":"binary","status":"%s","yes_sub_title":%s,"no_sub_title":%s,'
    '"title":%s,"created_time":"%s","updated_time":"%s","open_time":"%s","close_time":"%s",'
    '"expected_expiration_time":"%s","latest_expiration_time":"%s","settlement_timer_seconds":%d,'
    '"can_close_early":true,"result":"%s","expiration_value":"%s",%s'
    '"yes_bid_dollars":"0.0000","yes_bid_size_fp":"0.00","yes_ask_dollars":"1.0000","yes_ask_size_fp":"0.00",'
    '"no_bid_dollars":"0.0000","no_ask_dollars":"1.0000","last_price_dollars":"0.0000","previous_price_dollars":"0.0000",'
    '"volume_fp":"0.00","volume_24h_fp":"0.00","open_interest_fp":"0.00","notional_value_dollars":"1.0000",'
    '"price_level_structure":"linear_cent","price_ranges":[{"start":"0.0000","end":"1.0000","step":"0.0100"}],'
    '"strike_type":"greater","floor_strike":%s,"rules_primary":"' + RULES + '","rules_secondary":"","exchange_index":0}'
)


def market_text(market: Born, event: Listed, births: Births) -> str:
    """Return a market. Like a real one, it has neither its series nor its id."""
    name = name_of(market)
    has_result = market.status in ("determined", "finalized")
    settled_us = market.settled_us(births)
    settled = ""
    if market.status == "finalized":
        value = "1.0000" if market.wins else "0.0000"
        settled = f'"settlement_ts":"{_moment(settled_us)}","settlement_value_dollars":"{value}",'
    return _MARKET % (
        json.dumps(market.ticker),
        json.dumps(market.event),
        market.status,
        json.dumps(name),
        json.dumps(f"Not {name.lower()}"),
        json.dumps(event.family.title),
        _moment(market.created_us),
        _moment(market.updated_us),
        _second(market.open_ts),
        _second(market.close_ts),
        _second(market.close_ts + 60),
        _second(market.close_ts + 7 * _DAY),
        -(-(settled_us - market.determined_us(births)) // SECOND),
        ("yes" if market.wins else "no") if has_result else "",
        f"{market.strike:g}" if has_result else "",
        settled,
        market.strike,
    )


def event_text(event: Listed, universe: Universe, *, with_markets: bool) -> str:
    """Return an event, with its markets in it if they are wanted."""
    document = {
        "event_ticker": event.ticker,
        "series_ticker": event.family.ticker,
        "title": event.family.title,
        "sub_title": event.ticker.removeprefix(f"{event.family.ticker}-"),
        "category": event.family.category,
        "collateral_return_type": "MECNET",
        "mutually_exclusive": False,
        "available_on_brokers": False,
        "settlement_sources": [],
        # All real events that were seen have this date, whatever has changed in them.
        "last_updated_ts": "0001-01-01T00:00:00Z",
    }
    text = compact(document)
    if not with_markets:
        return text
    markets = (market_text(universe.markets[ticker], event, universe.births) for ticker in event.markets)
    return f'{text[:-1]},"markets":{list_text(markets)}}}'


def series_text(family: Family) -> str:
    """Return a series."""
    return compact(
        {
            "ticker": family.ticker,
            "title": family.title,
            "category": family.category,
            "frequency": "hourly",
            "tags": [],
            "fee_type": "quadratic",
            "fee_multiplier": 1,
            "settlement_sources": [],
            "contract_url": "",
            "contract_terms_url": "",
        }
    )


def list_text(texts: Iterable[str]) -> str:
    """Return a JSON list of JSON texts."""
    return f"[{','.join(texts)}]"


def compact(document: Mapping[str, Any]) -> str:
    """Return a document as JSON without white space."""
    return json.dumps(document, separators=(",", ":"))


def _moment(at_us: int) -> str:
    """Return a time as REST answers have it: six digits of a second, or fewer when the last ones are zeros."""
    seconds, micros = divmod(at_us, SECOND)
    text = _second(seconds)
    return f"{text[:-1]}.{micros:06d}".rstrip("0") + "Z" if micros else text


@functools.lru_cache(10_000)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
