"""What to subscribe to at Kalshi: an environment's `subscribe` section is checked, and made into commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.spelling import misspelling, nearest

__all__ = ["DEFAULT_CHANNELS", "TICKERS_PER_COMMAND", "commands_of", "problems_of"]

DEFAULT_CHANNELS = ["ticker", "trade", "market_lifecycle_v2"]
"""What is collected when the environment names no channels: for all markets, everything that needs no list of them."""

TICKERS_PER_COMMAND = 200
"""A longer list is sent in several commands; Kalshi merges them into one subscription per channel."""

_CHANNELS = (
    "cfbenchmarks_value",
    "cfbenchmarks_value_5hz",
    "communications",
    "fill",
    "market_lifecycle_v2",
    "market_positions",
    "multivariate_market_lifecycle",
    "order_group_updates",
    "orderbook_delta",
    "pyth_value",
    "ticker",
    "trade",
    "user_orders",
)

_LISTS = ("channels", "market_tickers", "market_ids", "index_ids", "underlying_tickers")
_PARAMETERS = (
    *_LISTS,
    "market_ticker",
    "market_id",
    "send_initial_snapshot",
    "skip_ticker_ack",
    "use_yes_price",
    "user_filter",
    "shard_factor",
    "shard_key",
)


def problems_of(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report what is wrong with an environment's `subscribe` section."""
    for name in _LISTS:
        value = subscribe.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield FieldProblem((name,), "must be a list of names")
        elif value == [] and name in subscribe:
            # An empty list would be no filter: everything would be collected, where perhaps nothing was meant.
            yield FieldProblem((name,), "is empty; name at least one, or leave it out")
    channels = subscribe.get("channels")
    if "market_ticker" in subscribe and "market_tickers" in subscribe:
        yield FieldProblem(("market_ticker",), "cannot be used together with market_tickers; keep the list")
    named = "market_tickers" in subscribe or subscribe.get("market_ticker")
    if isinstance(channels, list) and "orderbook_delta" in channels and not named:
        message = "orderbook_delta needs market_tickers: Kalshi sends order books only of markets that are named"
        yield FieldProblem(("channels",), message)
    yield from _unknown_parameters(subscribe)
    if isinstance(channels, list):
        yield from _unknown_channels(channels)


def _unknown_parameters(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report parameters that Kalshi does not have. A misspelt one is an error: Kalshi would ignore it, and send
    something else than was meant.
    """
    message = "is not a parameter of Kalshi's subscribe command"
    for name in subscribe:
        if name in _PARAMETERS:
            continue
        if hint := misspelling(name, _PARAMETERS, subscribe):
            yield FieldProblem((name,), f"{message}{hint}")
        else:
            yield FieldProblem((name,), f"{message}; it is sent as it is{nearest(name, _PARAMETERS)}", warning=True)


def _unknown_channels(channels: Sequence[Any]) -> Iterator[FieldProblem]:
    message = "is not a channel that ssmd knows"
    for index, channel in enumerate(channels):
        if not isinstance(channel, str) or channel in _CHANNELS:
            continue
        if hint := misspelling(channel, _CHANNELS):
            yield FieldProblem(("channels", index), f"{message}{hint}")
        else:
            remark = f"; if Kalshi does not know it either, the run ends{nearest(channel, _CHANNELS)}"
            yield FieldProblem(("channels", index), f"{message}{remark}", warning=True)


def commands_of(subscribe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each `subscribe` command; a long list of tickers is divided among several."""
    params = {"channels": list(DEFAULT_CHANNELS), **subscribe}
    if "orderbook_delta" in params["channels"]:
        # Kalshi will change the default, at a time that is not announced yet; the command should say what is meant.
        params.setdefault("use_yes_price", False)
    tickers = params.pop("market_tickers", None)
    if not tickers:
        yield params
        return
    for first in range(0, len(tickers), TICKERS_PER_COMMAND):
        yield {**params, "market_tickers": tickers[first : first + TICKERS_PER_COMMAND]}
