"""What of an environment's subscriptions is for which shard: together they ask for all of it, and each market once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from process import KEYS

from ssmd.contracts.dialect import Terms
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import ConfigError
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.division import part_of
from ssmd.exchange.kalshi.section import commands_of, markets_of, sections_of

TICKERS = [f"KXBTC-{number}" for number in range(50)]


def asked(subscribe: Any) -> Counter[tuple[str, str]]:
    """Return each channel with each market that the commands name for it, or with "all"."""
    found: Counter[tuple[str, str]] = Counter()
    for section in sections_of(subscribe):
        for command in commands_of(section):
            for channel in command["channels"]:
                named = markets_of(command, channel)
                found.update([(channel, "all")] if named is None else [(channel, name) for name in named[1]])
    return found


@pytest.mark.parametrize(
    "subscribe",
    [
        {},
        {"channels": ["ticker", "market_lifecycle_v2"]},
        {"channels": ["orderbook_delta", "trade", "market_lifecycle_v2"], "market_tickers": TICKERS},
        {"channels": ["trade"], "market_tickers": ["all"]},
        {"channels": ["trade", "market_lifecycle_v2"], "market_ticker": "KXBTC-7"},
        {"channels": ["ticker"], "market_ids": [f"id-{number}" for number in range(20)]},
        {"channels": ["cfbenchmarks_value", "pyth_value"], "index_ids": ["BRTI"], "underlying_tickers": ["X"]},
        [{"channels": ["orderbook_delta"], "market_tickers": TICKERS}, {"channels": ["ticker", "trade"]}],
        [{"channels": ["orderbook_delta"], "market_tickers": ["A"]}, {"channels": ["trade"], "market_tickers": ["A"]}],
    ],
)
@pytest.mark.parametrize("of", [1, 2, 4, 7])
def test_the_shards_together_ask_for_everything_once(subscribe, of):
    parts = [part_of(subscribe, Shard(index, of)) for index in range(1, of + 1)]
    assert sum(map(asked, parts), Counter()) == asked(subscribe)
    assert {len(sections_of(part)) for part in parts} == {len(sections_of(subscribe))}, "the places stay"


def test_the_whole_is_left_as_it_is():
    subscribe = {"channels": ["trade"], "market_tickers": TICKERS}
    assert part_of(subscribe, WHOLE) is subscribe


def test_a_market_is_in_one_shard_on_all_its_channels():
    subscribe = [
        {"channels": ["orderbook_delta"], "market_tickers": TICKERS},
        {"channels": ["trade", "ticker"], "market_tickers": TICKERS},
    ]
    for index in (1, 2, 3):
        markets: dict[str, set[str]] = {}
        for channel, market in asked(part_of(subscribe, Shard(index, 3))):
            markets.setdefault(channel, set()).add(market)
        assert markets["orderbook_delta"] == markets["trade"] == markets["ticker"]


def test_a_shard_without_a_market_has_no_channels_and_keeps_no_other_parameter_of_markets():
    subscribe = {"channels": ["trade", "market_lifecycle_v2"], "market_tickers": ["KXBTC-7"], "use_yes_price": True}
    parts = [part_of(subscribe, Shard(index, 2))[0] for index in (1, 2)]
    assert sorted((part["channels"], part.get("market_tickers")) for part in parts) in (
        [(["market_lifecycle_v2"], None), (["trade"], ["KXBTC-7"])],
        [([], None), (["trade", "market_lifecycle_v2"], ["KXBTC-7"])],
    )


def test_followed_markets_are_not_divided_before_they_are_known():
    subscribe = [
        {"channels": ["orderbook_delta", "market_lifecycle_v2"], "follow": {"series": ["KXBTC"]}},
        {"channels": ["trade"], "follow": "all", "market_tickers": ["KXBTC-7"]},
    ]
    first, other = part_of(subscribe, Shard(1, 9)), part_of(subscribe, Shard(2, 9))
    assert [part["channels"] for part in first] == [["orderbook_delta", "market_lifecycle_v2"], ["trade"]]
    assert [part["channels"] for part in other] == [["orderbook_delta"], ["trade"]]
    assert all(part["follow"] for part in (*first, *other))


def test_a_connection_that_asks_for_nothing_does_not_begin_to():
    """Its time-outs for data are off."""
    keys = {"api_key": KEYS["KALSHI_API_KEY"], "api_secret": KEYS["KALSHI_API_SECRET"]}
    [mine] = [name for name in TICKERS if Shard(2, 2).takes(name)][:1]
    [other] = [name for name in TICKERS if not Shard(2, 2).takes(name)][:1]
    section = {"channels": ["trade"], "market_tickers": [other]}
    idle = Kalshi(keys, section, Terms(shard=Shard(2, 2)))
    assert idle.idle == "nothing of what the environment names is for shard 2/2, so no message is expected"
    idle.reconfigure({"channels": ["ticker", "trade"], "market_tickers": [other]})
    with pytest.raises(ConfigError, match=r"^shard 2/2 has had no market so far; restart the run$"):
        idle.reconfigure({"channels": ["trade"], "market_tickers": [other, mine]})
    assert Kalshi(keys, section, Terms(shard=Shard(1, 2))).idle == ""
