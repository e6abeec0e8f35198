"""The part of an environment's `subscribe` section that one of several shards asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ssmd.contracts.shard import Shard
from ssmd.exchange.kalshi.channels import NAMED_BY, channel_named
from ssmd.exchange.kalshi.section import FOLLOW, channels_of, markets_of, sections_of

__all__ = ["part_of"]


def part_of(subscribe: Any, shard: Shard) -> Any:
    """Return the subscriptions that are left for a shard, each at its place in the list.

    Named markets are divided. A channel that is of all markets is left to the first shard. A subscription with
    `follow` keeps its channels that take markets in every shard: which of the markets are the shard's is decided when
    they are found. A subscription of which nothing is left has no channels.
    """
    return subscribe if shard.is_whole else [_part(section, shard) for section in sections_of(subscribe)]


def _part(section: Mapping[str, Any], shard: Shard) -> dict[str, Any]:
    part = dict(section)
    for parameter in NAMED_BY:
        if parameter in section and not (names := _names(section[parameter], shard)):
            del part[parameter]
        elif parameter in section:
            part[parameter] = names
    part["channels"] = [channel for channel in channels_of(section) if _keeps(channel, section, part, shard)]
    return part


def _names(value: str | list[str], shard: Shard) -> str | list[str]:
    if value == ["all"]:
        return value
    if isinstance(value, str):
        return value if shard.takes(value) else ""
    return [name for name in value if shard.takes(name)]


def _keeps(channel: str, section: Mapping[str, Any], part: Mapping[str, Any], shard: Shard) -> bool:
    lists = channel_named(channel).lists
    if FOLLOW in section and "market_tickers" in lists:
        return True
    if markets_of(section, channel) is None:
        return shard.is_first
    return any(parameter in part for parameter in lists)
