"""The life cycle messages of markets that are born, with the fields of https://docs.kalshi.com/asyncapi.yaml. Pure."""

from __future__ import annotations

import json
from typing import Any

from ssmd.sim.births import SECOND, Births
from ssmd.sim.born import Born, Listed
from ssmd.sim.event import LIFECYCLE, Event

__all__ = ["RULES", "announced", "event_announced", "name_of"]

RULES = "The simulator tosses a seeded coin."

_TO_EXPIRATION = 60


def name_of(market: Born) -> str:
    """Return what a market is about."""
    return f"Above {market.strike:g}"


def event_announced(listed: Listed) -> Event:
    """Return the message with which a new event is announced: the only one that names the series."""
    return _announce(
        "event_lifecycle",
        {
            "event_ticker": listed.ticker,
            "exchange_index": 0,
            "title": listed.family.title,
            "subtitle": "",
            "collateral_return_type": "MECNET",
            "series_ticker": listed.family.ticker,
        },
    )


def announced(step: str, market: Born, listed: Listed, births: Births) -> list[Event]:
    """Return the message about a step of a market; none for a step that nothing is sent about."""
    msg: dict[str, Any] = {"market_ticker": market.ticker, "event_type": step}
    match step:
        case "created":
            msg |= _created(market, listed)
        case "activated" | "deactivated":
            msg["is_deactivated"] = step == "deactivated"
        case "close_date_updated":
            msg["close_ts"] = market.close_ts
        case "determined":
            msg["determination_ts"] = market.determined_us(births) // SECOND
            msg["result"] = "yes" if market.wins else "no"
            msg["settlement_value"] = "1.0000" if market.wins else "0.0000"
        case "settled":
            msg["settled_ts"] = market.settled_us(births) // SECOND
        case _:
            return []
    return [_announce(LIFECYCLE, msg)]


def _created(market: Born, listed: Listed) -> dict[str, Any]:
    return {
        "exchange_index": 0,
        "open_ts": market.open_ts,
        "close_ts": market.close_ts,
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "additional_metadata": {
            "name": name_of(market),
            "title": listed.family.title,
            "yes_sub_title": name_of(market),
            "no_sub_title": f"Not {name_of(market).lower()}",
            "rules_primary": RULES,
            "rules_secondary": "",
            "can_close_early": True,
            "event_ticker": listed.ticker,
            "expected_expiration_ts": market.close_ts + _TO_EXPIRATION,
            "strike_type": "greater",
            "floor_strike": market.strike,
        },
    }


def _announce(kind: str, msg: dict[str, Any]) -> Event:
    text = json.dumps(msg, separators=(",", ":"))
    return Event(LIFECYCLE, kind, None, text, text)
