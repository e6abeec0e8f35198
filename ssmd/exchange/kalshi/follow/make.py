"""What is needed to follow the markets of one connection. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssmd.contracts.shard import Shard
from ssmd.errors import ConfigError
from ssmd.exchange.kalshi.follow.endpoint import Requests, Sign
from ssmd.exchange.kalshi.follow.following import Subscribed
from ssmd.exchange.kalshi.follow.markets import Markets, Subscription
from ssmd.exchange.kalshi.follow.matcher import Matcher
from ssmd.exchange.kalshi.follow.section import Follow
from ssmd.exchange.kalshi.section import channels_of, sections_of, tickers_of
from ssmd.exchange.kalshi.subscriptions import Subscriptions

__all__ = ["requests_to", "what_to_follow", "with_life_cycles"]

_LIFE_CYCLES = "market_lifecycle_v2"
_LIFE_CYCLES_OF_COMBOS = "multivariate_market_lifecycle"
"""The channels on which markets are announced (https://docs.kalshi.com/websockets/market-&-event-lifecycle)."""


def with_life_cycles(subscribe: Any, follows: Mapping[int, Follow]) -> Any:
    """Return a `subscribe` section with the channels on which followed markets are announced.

    `follows`: what each subscription follows. The channels that are not asked for yet are a further subscription, the
    last one.
    """
    sections = sections_of(subscribe)
    asked = {name for section in sections for name in channels_of(section)}
    missing = [name for name in _needed(follows) if name not in asked]
    return [*sections, {"channels": missing}] if missing else subscribe


def _needed(follows: Mapping[int, Follow]) -> Sequence[str]:
    if not follows:
        return ()
    has_combos = any(follow.wants_combos for follow in follows.values())
    return (_LIFE_CYCLES, _LIFE_CYCLES_OF_COMBOS) if has_combos else (_LIFE_CYCLES,)


def requests_to(rest_endpoint: str, sign: Sign) -> Requests:
    """Return what makes the requests to a REST interface. Raises ConfigError when there is none."""
    if not rest_endpoint:
        cause = "markets cannot be followed, because it is not known where the exchange lists them"
        raise ConfigError(f"{cause}; set `rest_endpoint` in the feed")
    return Requests(rest_endpoint, sign)


def what_to_follow(
    subscriptions: Subscriptions, subscribe: Any, follows: Mapping[int, Follow], shard: Shard, most_markets: int | None
) -> tuple[Markets, Subscribed]:
    """Return which markets are followed on a connection, and what the connection knows of them.

    `subscriptions`: those of with_life_cycles(). `most_markets`: how many markets may be subscribed to, those that
    `subscribe` names included; None for no limit.
    """
    named = {number: tickers_of(section) for number, section in enumerate(sections_of(subscribe), 1)}
    count = len({name for names in named.values() for name in names})
    markets = Markets(
        [Subscription(number, Matcher(follow), follow.status) for number, follow in follows.items()],
        shard.takes,
        None if most_markets is None else max(0, most_markets - count),
    )
    names = _needed(follows)

    def is_listening() -> bool:
        channels = [subscriptions.channels.get(name) for name in names]
        return bool(channels) and all(channel is not None and channel.sid is not None for channel in channels)

    return markets, Subscribed(is_listening, subscriptions.confirmed, subscriptions.over_limit, named)
