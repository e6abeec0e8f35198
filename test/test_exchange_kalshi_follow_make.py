"""What a connection to Kalshi asks for, and keeps, when it follows markets."""

from __future__ import annotations

import json

import pytest
from kalshi_messages import KEYS, connection, subscribed

from ssmd.contracts.dialect import Terms
from ssmd.contracts.http import HttpRequest
from ssmd.contracts.shard import Shard
from ssmd.errors import ConfigError
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.follow.make import with_life_cycles
from ssmd.exchange.kalshi.follow.section import follows_of

NOW_MS = 1_790_000_000_000
FOLLOW = {"channels": ["trade"], "follow": "all"}


def asked_for(subscribe):
    return with_life_cycles(subscribe, follows_of(subscribe))


def test_the_life_cycle_messages_are_asked_for_where_markets_are_followed():
    assert asked_for({"channels": ["trade"]}) == {"channels": ["trade"]}
    assert asked_for(FOLLOW) == [FOLLOW, {"channels": ["market_lifecycle_v2"]}]
    both = [FOLLOW, {"channels": ["ticker", "market_lifecycle_v2"]}]
    assert asked_for(both) == both
    combos = {"channels": ["trade"], "follow": {"tickers": ["KXMVE*"]}}
    assert asked_for(combos) == [combos, {"channels": ["market_lifecycle_v2", "multivariate_market_lifecycle"]}]


def test_the_listing_begins_when_they_are_confirmed_and_its_requests_are_signed():
    kalshi = connection(FOLLOW)
    kalshi.opening("wss://host/ws", NOW_MS)
    [command] = map(json.loads, kalshi.commands())
    assert command["params"] == {"channels": ["market_lifecycle_v2"]}
    assert not isinstance(kalshi.listing.next(NOW_MS), HttpRequest)
    kalshi.inspect([subscribed(command["id"], "market_lifecycle_v2", 1)])
    request = kalshi.listing.next(NOW_MS)
    assert isinstance(request, HttpRequest)
    assert request.url.startswith("http://host/v2/markets?status=open&mve_filter=exclude&limit=1000")
    assert request.signed
    assert set(request.hidden) == set(request.headers.values())


def test_each_shard_asks_for_the_life_cycle_messages_that_it_needs():
    terms = Terms(shard=Shard(2, 2), rest_endpoint="http://h")
    kalshi = Kalshi(KEYS, [FOLLOW, {"channels": ["market_lifecycle_v2"]}], terms)
    assert [state.channel for state in kalshi.channels()] == ["trade", "market_lifecycle_v2"]


def test_without_a_place_where_markets_are_listed_they_cannot_be_followed():
    with pytest.raises(ConfigError, match="set `rest_endpoint` in the feed"):
        Kalshi(KEYS, FOLLOW)


def test_following_can_be_changed_and_ended_on_an_open_connection_but_not_begun():
    kalshi = connection({"channels": ["trade"]})
    with pytest.raises(ConfigError, match="not begun; restart the run"):
        kalshi.reconfigure(FOLLOW)
    kalshi = connection(FOLLOW)
    [command] = map(json.loads, kalshi.commands())
    kalshi.inspect([subscribed(command["id"], "market_lifecycle_v2", 1)])
    kalshi.reconfigure({"channels": ["trade"], "follow": {"series": ["KXA"]}})
    request = kalshi.listing.next(NOW_MS)
    assert isinstance(request, HttpRequest)
    assert "series_ticker=KXA" in request.url
    assert not kalshi.listing.state().is_over
    kalshi.reconfigure({"channels": ["trade"]})
    assert kalshi.listing.state().is_over
    assert not isinstance(kalshi.listing.next(NOW_MS + 60_000), HttpRequest)
    assert kalshi.listing.state().not_subscribed == 0
