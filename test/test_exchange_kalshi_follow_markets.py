"""The markets that one connection follows: when they are taken up, and when they end."""

from __future__ import annotations

import pytest

from ssmd.exchange.kalshi.follow.ends import DETERMINED_MS, SETTLED_MS
from ssmd.exchange.kalshi.follow.found import Found
from ssmd.exchange.kalshi.follow.markets import Markets, Subscription
from ssmd.exchange.kalshi.follow.matcher import Matcher
from ssmd.exchange.kalshi.follow.openings import OPENING_SECONDS
from ssmd.exchange.kalshi.follow.section import read_follow

NOW_MS = 1_790_000_000_000
NOW = NOW_MS // 1000


def markets_of(*values, most=None, takes=lambda ticker: True):
    follows = enumerate(map(read_follow, values), 1)
    return Markets([Subscription(number, Matcher(each), each.status) for number, each in follows], takes, most)


def found(ticker, state="open", open_seconds=0.0, close_seconds=0.0):
    return Found(ticker, "", state, open_seconds, close_seconds)


def follow(markets, *all_found):
    for each in all_found:
        numbers, _ = markets.decide(each.ticker, each.event, "")
        markets.follow(each, numbers, NOW_MS)


def changes(markets):
    return list(markets.changes())


def test_a_market_is_added_to_each_subscription_that_follows_it():
    markets = markets_of({"tickers": ["KXA-*"]}, {"tickers": ["*-1"]})
    follow(markets, found("KXA-1"), found("KXA-2"), found("KXB-1"), found("KXB-2"))
    assert changes(markets) == [(1, ["KXA-1", "KXA-2"], []), (2, ["KXA-1", "KXB-1"], [])]
    assert changes(markets) == []
    assert len(markets) == 3
    assert markets.counts == {1: 2, 2: 2}


@pytest.mark.parametrize(("state", "is_followed"), [("open", False), ("paused", True), ("closed", False)])
def test_a_market_is_taken_up_in_the_states_that_are_named(state, is_followed):
    markets = markets_of({"status": ["paused"]})
    follow(markets, found("KXA-1", state))
    assert ("KXA-1" in markets) is is_followed


def test_where_only_open_markets_are_followed_one_is_taken_up_just_before_it_opens():
    markets = markets_of({"status": ["open"]})
    follow(markets, found("KXA-1", "unopened", NOW + 3600), found("KXA-2", "unopened", NOW + 5))
    assert changes(markets) == [(1, ["KXA-2"], [])]
    markets.pass_time(NOW_MS + (3600 - OPENING_SECONDS) * 1000 - 1)
    assert changes(markets) == []
    markets.pass_time(NOW_MS + (3600 - OPENING_SECONDS) * 1000)
    assert changes(markets) == [(1, ["KXA-1"], [])]


def test_a_market_ends_some_time_after_its_settlement():
    markets = markets_of("all")
    follow(markets, found("KXA-1"), found("KXA-2"))
    changes(markets)
    markets.ends("KXA-1", DETERMINED_MS, NOW_MS)
    markets.ends("KXA-1", SETTLED_MS, NOW_MS + 1000)
    markets.pass_time(NOW_MS + SETTLED_MS + 999)
    assert changes(markets) == []
    markets.pass_time(NOW_MS + SETTLED_MS + 1000)
    assert changes(markets) == [(1, [], ["KXA-1"])]
    assert len(markets) == 1


def test_a_market_that_trades_again_after_its_result_stays():
    markets = markets_of("all")
    follow(markets, found("KXA-1"), found("KXA-2"))
    changes(markets)
    for ticker in ("KXA-1", "KXA-2"):
        markets.ends(ticker, DETERMINED_MS, NOW_MS)
    markets.stays("KXA-1")
    markets.seen(found("KXA-2", "closed"))
    markets.pass_time(NOW_MS + DETERMINED_MS)
    assert changes(markets) == [(1, [], ["KXA-2"])]


def test_a_market_that_two_whole_listings_do_not_have_ends():
    markets = markets_of("all")
    follow(markets, *(found(f"KXA-{number}") for number in range(4)))
    changes(markets)
    for _ in range(2):
        markets.listing += 1
        for ticker in ("KXA-0", "KXA-1", "KXA-2"):
            markets.seen(found(ticker))
        assert markets.end_listing(NOW_MS) is None
    assert changes(markets) == [(1, [], ["KXA-3"])]


def test_a_market_that_is_found_during_a_listing_need_not_be_in_it():
    markets = markets_of("all")
    markets.listing = 1
    follow(markets, found("KXA-1"))
    assert markets.end_listing(NOW_MS) is None
    markets.listing = 2
    assert markets.end_listing(NOW_MS) is None
    assert "KXA-1" in markets


def test_a_listing_that_lacks_most_markets_is_not_believed():
    markets = markets_of("all")
    follow(markets, *(found(f"KXA-{number}", close_seconds=NOW + 60) for number in range(1000)))
    changes(markets)
    for listing in range(1, 5):
        markets.listing = listing
        assert "lacks 1,000 of 1,000 markets that have not closed" in markets.end_listing(NOW_MS)
    assert changes(markets) == []
    # Closed ones are in no list of open markets.
    for listing in range(5, 7):
        markets.listing = listing
        assert markets.end_listing(NOW_MS + 60_000) is None
    assert len(markets) == 0


def test_there_is_room_for_so_many_and_the_next_one_comes_when_one_ends():
    markets = markets_of("all", most=2)
    follow(markets, *(found(f"KXA-{number}") for number in range(4)))
    assert (len(markets), markets.over) == (4, 2)
    assert changes(markets) == [(1, ["KXA-0", "KXA-1"], [])]
    markets.ends("KXA-0", SETTLED_MS, NOW_MS)
    markets.ends("KXA-2", SETTLED_MS, NOW_MS)
    assert (len(markets), markets.over) == (3, 1)
    markets.pass_time(NOW_MS + SETTLED_MS)
    assert changes(markets) == [(1, ["KXA-3"], ["KXA-0"])]
    assert (len(markets), markets.over) == (2, 0)


def test_what_begins_and_ends_before_it_is_asked_for_is_no_change():
    markets = markets_of("all")
    follow(markets, found("KXA-1"))
    markets.ends("KXA-1", SETTLED_MS, NOW_MS)
    markets.pass_time(NOW_MS + SETTLED_MS)
    assert changes(markets) == []


def news(markets):
    gone, followed = markets.news.take()
    return gone, dict(followed)


def test_the_news_are_which_markets_are_followed_and_when_they_are_open():
    markets = markets_of({"tickers": ["KXA-*"]}, {"tickers": ["*-1"]}, most=1)
    follow(markets, found("KXA-1", "open", NOW - 60, NOW + 60), found("KXA-2"))
    # Also one for which there is no room is to be collected.
    assert news(markets) == ([], {(1, 2): {"KXA-1": (NOW - 60, NOW + 60)}, (1,): {"KXA-2": (None, None)}})
    markets.seen(found("KXA-1", "open", NOW - 60, NOW + 60))
    assert news(markets) == ([], {})
    markets.seen(found("KXA-2", "open", NOW - 30, NOW + 30))
    markets.closes("KXA-1", NOW + 90)
    assert news(markets) == ([], {(1, 2): {"KXA-1": (NOW - 60, NOW + 90)}, (1,): {"KXA-2": (NOW - 30, NOW + 30)}})
    markets.closes("KXA-1", NOW + 100, at_the_latest=True)
    assert news(markets) == ([], {})
    markets.closes("KXA-1", NOW + 10, at_the_latest=True)
    markets.ends("KXA-2", SETTLED_MS, NOW_MS)
    assert news(markets) == (["KXA-2"], {(1, 2): {"KXA-1": (NOW - 60, NOW + 10)}})
    markets.begin_again(1)
    assert news(markets) == ([], {(1, 2): {"KXA-1": (NOW - 60, NOW + 10)}})
    markets.ends("KXA-1", SETTLED_MS, NOW_MS)
    assert news(markets) == ([], {})
    markets.pass_time(NOW_MS + SETTLED_MS)
    assert news(markets) == (["KXA-1"], {})


def test_markets_that_are_over_make_room_for_others():
    markets = markets_of("all", most=4)
    follow(markets, *(found(f"KXA-{number}") for number in range(6)))
    changes(markets)
    markets.ends("KXA-0", DETERMINED_MS, NOW_MS)
    markets.ends("KXA-1", DETERMINED_MS, NOW_MS)
    markets.ends("KXA-2", SETTLED_MS, NOW_MS)
    markets.make_room(0)
    assert changes(markets) == []
    markets.make_room(2)  # What is settled comes first.
    assert changes(markets) == [(1, ["KXA-4", "KXA-5"], ["KXA-2", "KXA-0"])]
    assert "KXA-1" in markets
