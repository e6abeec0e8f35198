"""What to subscribe to at Kalshi: an environment's `subscribe` section, and the commands that it stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.exchange.kalshi.channels import BOOKS, NAMED_BY, channel_named

__all__ = [
    "DEFAULT_CHANNELS",
    "FOLLOW",
    "TICKERS_PER_COMMAND",
    "channels_of",
    "commands_of",
    "later_params",
    "markets_of",
    "parameter_of",
    "sections_of",
    "tickers_of",
]

DEFAULT_CHANNELS = ("ticker", "trade", "market_lifecycle_v2")
"""What is collected when the environment names no channels: for all markets, everything that needs no list of them."""

FOLLOW = "follow"
"""The parameter that is not sent: which markets are found out, and added to the channels that take a list."""

TICKERS_PER_COMMAND = 200
"""A longer list is sent in several commands; Kalshi merges them into one subscription per channel."""


def sections_of(subscribe: Any) -> Sequence[Mapping[str, Any]]:
    """Return the subscriptions of an environment's `subscribe` section, which is one of them or a list."""
    return subscribe if isinstance(subscribe, list) else [subscribe]


def channels_of(section: Mapping[str, Any]) -> list[str]:
    """Return the channels of one subscription, each once."""
    return list(dict.fromkeys(section.get("channels", DEFAULT_CHANNELS)))


def tickers_of(section: Mapping[str, Any]) -> list[str]:
    """Return the tickers that a subscription names, each once, for the channels that take them."""
    tickers = section.get("market_tickers") or section.get("market_ticker") or ()
    return list(dict.fromkeys([tickers] if isinstance(tickers, str) else tickers))


def markets_of(section: Mapping[str, Any], channel: str) -> tuple[str, Sequence[str]] | None:
    """Return the markets that a subscription names for a channel, each once; None for all.

    The first value is the field of a message's `msg` in which each name comes back.
    """
    if not (parameter := parameter_of(section, channel)):
        return None
    value = section.get(parameter, ())
    names = dict.fromkeys([value] if isinstance(value, str) else value)
    field = channel_named(channel).field or NAMED_BY[parameter]
    return None if list(names) == ["all"] else (field, list(names))


def parameter_of(section: Mapping[str, Any], channel: str) -> str:
    """Return the parameter of a subscription that names its markets for a channel; empty when it is of all.

    A subscription that follows markets may name none yet.
    """
    lists = channel_named(channel).lists
    named = next((parameter for parameter in lists if section.get(parameter)), "")
    return named or ("market_tickers" if FOLLOW in section and "market_tickers" in lists else "")


def commands_of(section: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each `subscribe` command of one subscription; none without channels.

    A long list of tickers is divided among several commands. Only the first of them names the channels that take no
    list: they are of all markets whatever the list is.
    """
    params = {"channels": list(DEFAULT_CHANNELS), **section}
    tickers = list(dict.fromkeys(params.pop("market_tickers", ())))
    if params.pop(FOLLOW, None) is not None and not (tickers or params.get("market_ticker")):
        # The channels of followed markets are opened when the first market is known.
        params["channels"] = [name for name in params["channels"] if parameter_of(section, name) != "market_tickers"]
    if not params["channels"]:
        return
    if BOOKS in params["channels"]:
        # Kalshi will change the default, at a time that is not announced yet; the command should say what is meant.
        params.setdefault("use_yes_price", False)
    if not tickers:
        yield params
        return
    for first in range(0, len(tickers), TICKERS_PER_COMMAND):
        if first:
            params["channels"] = [name for name in params["channels"] if "market_tickers" in channel_named(name).lists]
        if params["channels"]:
            yield {**params, "market_tickers": tickers[first : first + TICKERS_PER_COMMAND]}


def later_params(section: Mapping[str, Any], channel: str) -> dict[str, Any]:
    """Return the parameters of a `subscribe` command for one channel of a subscription, without a list of markets."""
    params = {name: value for name, value in section.items() if name not in {*NAMED_BY, FOLLOW}}
    if channel == BOOKS:
        params.setdefault("use_yes_price", False)
    elif "use_yes_price" in params:
        del params["use_yes_price"]
    return {**params, "channels": [channel]}
