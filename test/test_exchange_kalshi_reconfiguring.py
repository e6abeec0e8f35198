"""Another `subscribe` section on an open connection to Kalshi."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kalshi_messages import delta, error
from test_exchange_kalshi_updates import Exchange, names

from ssmd.contracts.events import Followed, Refused, Unfollowed
from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.errors import Disconnected
from ssmd.exchange.kalshi.updates import ANSWER_MS

BOOKS = {"channels": ["orderbook_delta"], "market_tickers": ["KX-1", "KX-2"]}


def opened(subscribe: Any) -> Exchange:
    exchange = Exchange(subscribe)
    exchange.settle()
    exchange.sent()
    exchange.events.clear()
    return exchange


def reconfigured(before: Any, after: Any) -> Exchange:
    exchange = opened(before)
    exchange.kalshi.reconfigure(after)
    exchange.settle()
    return exchange


def what_is_sent(exchange: Exchange) -> dict[str, tuple[int, bool, Sequence[str] | None]]:
    """Return, by channel, what the exchange sends: the sid, the view of prices, and the markets."""
    found = exchange.session._by_channel.values()
    return {each.channel: (each.sid, each.yes_price, _sorted(each.tickers)) for each in found}


def _sorted(tickers: Iterable[str] | None) -> Sequence[str] | None:
    return None if tickers is None else sorted(tickers)


def test_the_same_section_changes_nothing():
    exchange = reconfigured([BOOKS, {"channels": ["ticker", "market_lifecycle_v2"]}],
                            [BOOKS, {"channels": ["ticker", "market_lifecycle_v2"]}])
    assert (exchange.sent(), exchange.events) == ([], [])
    assert exchange.kalshi.tick_seconds == 1.0


def test_markets_are_added_and_removed():
    exchange = reconfigured(BOOKS, {**BOOKS, "market_tickers": ["KX-2", "KX-3"]})
    assert what_is_sent(exchange) == {"orderbook_delta": (1, False, ["KX-2", "KX-3"])}
    assert exchange.asked("orderbook_delta") == [("remove", ["KX-1"]), ("add", ["KX-3"])]
    assert exchange.counts("orderbook_delta") == (2, 2, 2)
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)


def test_a_channel_is_opened_and_another_one_closed():
    exchange = reconfigured([BOOKS, {"channels": ["ticker"]}], [{**BOOKS, "channels": ["orderbook_delta", "trade"]},
                                                                {"channels": ["market_lifecycle_v2"]}])
    assert what_is_sent(exchange) == {
        "orderbook_delta": (1, False, ["KX-1", "KX-2"]),
        "market_lifecycle_v2": (3, False, None),
        "trade": (4, False, ["KX-1", "KX-2"]),
    }
    assert exchange.asked("ticker") == [("remove", None)]
    assert exchange.asked("market_lifecycle_v2") == [("subscribe", None)]
    assert exchange.asked("trade") == [("subscribe", ["KX-1", "KX-2"])]
    assert [each.channel for each in exchange.kalshi.channels()] == ["orderbook_delta", "trade", "market_lifecycle_v2"]
    assert not any(each.pending or each.unsent for each in exchange.kalshi.channels())
    exchange.kalshi.inspect(exchange.session.produce(5000, exchange.now_ms * 1_000_000))
    assert all(each.activity for each in exchange.kalshi.channels())


def test_another_flag_closes_the_channel_and_opens_it_again():
    exchange = reconfigured(BOOKS, {**BOOKS, "use_yes_price": True})
    assert exchange.sent() == [("unsubscribe", 1, 0), ("subscribe", "orderbook_delta", 2)]
    assert what_is_sent(exchange) == {"orderbook_delta": (2, True, ["KX-1", "KX-2"])}
    assert exchange.asked("orderbook_delta") == [("remove", None), ("subscribe", ["KX-1", "KX-2"])]
    assert exchange.counts("orderbook_delta") == (2, 2, 2)
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)


def test_a_list_of_markets_may_become_all_markets_and_back():
    exchange = reconfigured({"channels": ["trade"], "market_tickers": ["KX-1"]}, {"channels": ["trade"]})
    assert what_is_sent(exchange) == {"trade": (2, False, None)}
    exchange.kalshi.reconfigure({"channels": ["trade"], "market_tickers": ["KX-1", "KX-2"]})
    exchange.settle()
    assert what_is_sent(exchange) == {"trade": (3, False, ["KX-1", "KX-2"])}
    assert exchange.counts("trade")[:2] == (2, 2)


def test_channels_of_one_subscription_may_be_divided_among_two():
    both = {"channels": ["orderbook_delta", "trade"], "market_tickers": ["KX-1", "KX-2"]}
    exchange = reconfigured(both, [{**both, "channels": ["trade"]}, {**BOOKS, "market_tickers": ["KX-2", "KX-3"]}])
    assert what_is_sent(exchange) == {
        "orderbook_delta": (1, False, ["KX-2", "KX-3"]), "trade": (2, False, ["KX-1", "KX-2"]),
    }
    assert {each.channel: each.subscription for each in exchange.kalshi.channels()} == {
        "trade": 1, "orderbook_delta": 2
    }
    assert exchange.asked("orderbook_delta")[:2] == [("remove", None), ("subscribe", ["KX-1", "KX-2"])]


def test_followed_markets_stay_where_markets_are_still_followed():
    follow = {"channels": ["trade"], "follow": "all", "market_tickers": ["KX-1"]}
    exchange = opened(follow)
    exchange.change(["KX-2", "KX-3"])
    exchange.settle()
    exchange.sent()
    exchange.kalshi.reconfigure({**follow, "market_tickers": ["KX-3", "KX-4"]})
    exchange.settle()
    announced = {"market_lifecycle_v2": (2, False, None)}
    assert what_is_sent(exchange) == {"trade": (1, False, ["KX-2", "KX-3", "KX-4"]), **announced}
    exchange.kalshi.reconfigure({"channels": ["trade"], "market_tickers": ["KX-3"]})
    exchange.settle()
    assert what_is_sent(exchange) == {"trade": (1, False, ["KX-3"])}


def test_a_channel_that_was_refused_is_asked_for_again():
    exchange = opened({"channels": ["trade"], "market_tickers": ["KX-1"]})
    more = {"channels": ["trade", "fill"], "market_tickers": ["KX-1"]}
    exchange.kalshi.reconfigure([more, {"channels": ["communications"]}])
    exchange.settle()
    refused = [each for each in exchange.events if isinstance(each, Refused)]
    assert [(each.channel, each.code, each.for_now) for each in refused] == [
        ("communications", 9, False), ("fill", 9, False)
    ]
    assert what_is_sent(exchange) == {"trade": (1, False, ["KX-1"])}
    exchange.sent()
    exchange.kalshi.reconfigure([more, {"channels": ["communications"]}])
    exchange.settle()
    assert [each[1] for each in exchange.sent()] == ["communications", "fill"]


def test_a_section_may_change_before_the_opening_is_answered():
    exchange = Exchange({"channels": ["orderbook_delta", "trade"], "market_tickers": names(450)})
    exchange.kalshi.reconfigure({"channels": ["trade", "ticker"], "market_tickers": names(300, first=300)})
    exchange.settle()
    assert {name: found[2] for name, found in what_is_sent(exchange).items()} == dict.fromkeys(
        ["trade", "ticker"], sorted(names(300, first=300))
    )


def test_a_subscription_that_the_exchange_ends_still_ends_the_run():
    exchange = reconfigured([BOOKS, {"channels": ["ticker"]}], BOOKS)
    [command] = [each for each in exchange.commands if each["cmd"] == "unsubscribe"]
    ended = json.dumps({"type": "unsubscribed", "id": command["id"], "sid": 1, "seq": 9}).encode()
    assert isinstance(exchange.kalshi.inspect([ended]).failure, Disconnected)


def test_a_late_answer_to_an_unsubscribe_ends_nothing():
    exchange = opened([BOOKS, {"channels": ["ticker"]}])
    exchange.kalshi.reconfigure(BOOKS)
    exchange.tick()
    [command] = exchange.waiting
    exchange.waiting = []
    replies = exchange.session.receive(command, exchange.now_ms * 1_000_000)
    exchange.tick(ANSWER_MS / 1000 + 1)  # By now, the command is sent again.
    exchange._take(exchange.kalshi.inspect(replies))
    exchange.settle()
    assert what_is_sent(exchange) == {"orderbook_delta": (1, False, ["KX-1", "KX-2"])}
    assert [each for each in exchange.events if isinstance(each, Refused)] == []


@pytest.mark.parametrize("code", [7, 18, 27, 99])
def test_a_refused_unsubscribe_ends_nothing(code):
    exchange = opened([BOOKS, {"channels": ["ticker"]}])
    exchange.kalshi.reconfigure(BOOKS)
    exchange.tick()
    [command] = map(json.loads, exchange.waiting)
    assert command["cmd"] == "unsubscribe"
    exchange.waiting.clear()
    assert exchange.kalshi.inspect([error(code, head={"id": command["id"]})]).failure is None
    exchange.settle(10)
    assert ("ticker" in what_is_sent(exchange)) is (code in (7, 99))
    assert [each.channel for each in exchange.kalshi.channels()] == ["orderbook_delta"]


def test_a_gap_of_a_closed_subscription_loses_no_book():
    exchange = opened(BOOKS)
    exchange.kalshi.reconfigure({**BOOKS, "use_yes_price": True})
    exchange.settle()
    assert exchange.kalshi.inspect([delta("KX-1", 50, sid=1)]).events[0].books == ""
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)


SECTIONS: list[Any] = [
    {},
    BOOKS,
    {**BOOKS, "use_yes_price": True},
    [BOOKS, {"channels": ["trade", "ticker"]}],
    [{"channels": ["market_lifecycle_v2"]}, {"channels": ["trade", "orderbook_delta"], "market_tickers": names(4)}],
    {"channels": ["trade", "orderbook_delta"], "market_tickers": names(3, first=2)},
    {"channels": ["trade"], "market_ticker": "KX-3"},
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SECTIONS), st.sampled_from(["at once", "tick", "answer", "settle"]))))
def test_whatever_is_reloaded_when_the_last_section_counts(steps):
    exchange = Exchange({"channels": ["trade"]}, commands_per_second=5)
    section: Any = {"channels": ["trade"]}
    for section, then in steps:
        exchange.kalshi.reconfigure(section)
        if then == "tick":
            exchange.tick()
        elif then == "answer":
            exchange.answer()
        elif then == "settle":
            exchange.settle()
    exchange.settle(300)
    expected = Exchange(section)
    expected.settle()
    assert {name: found[1:] for name, found in what_is_sent(exchange).items()} == {
        name: found[1:] for name, found in what_is_sent(expected).items()
    }
    exchange.settle(60)
    states = [each._replace(activity=0, heard=None, numbered=None) for each in exchange.kalshi.channels()]
    assert states == [each._replace(activity=0, heard=None, numbered=None) for each in expected.kalshi.channels()]


def born(exchange: Exchange, *tickers: str) -> None:
    """Let the exchange announce markets."""
    for ticker in tickers:
        msg = {
            "event_type": "created", "market_ticker": ticker, "open_ts": 20_000 * 86_400, "close_ts": 20_001 * 86_400,
            "additional_metadata": {"event_ticker": "KX"},
        }
        exchange._take(exchange.kalshi.inspect([json.dumps({"type": "market_lifecycle_v2", "msg": msg}).encode()]))
    exchange.settle()


FOLLOWING = {"channels": ["orderbook_delta", "trade"], "follow": {"tickers": ["KX-*"]}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FOLLOWING, {**FOLLOWING, "use_yes_price": True}),
        (FOLLOWING, {"channels": ["ticker"], "follow": FOLLOWING["follow"]}),
        ({**FOLLOWING, "market_tickers": ["KX-1", "KX-2"]}, FOLLOWING),
        ({**FOLLOWING, "market_tickers": ["KX-1"]}, {**FOLLOWING, "market_tickers": ["KX-2"]}),
        (FOLLOWING, {**FOLLOWING, "channels": ["trade"]}),
        ({**FOLLOWING, "channels": ["trade"]}, FOLLOWING),
    ],
)
def test_no_followed_market_is_lost_by_another_section(before, after):
    exchange = opened(before)
    born(exchange, "KX-1", "KX-2", "KX-3")
    exchange.kalshi.reconfigure(after)
    exchange.settle()
    born(exchange, "KX-4")
    channels, sent = after["channels"], what_is_sent(exchange)
    assert [sent[channel][2] for channel in channels] == [["KX-1", "KX-2", "KX-3", "KX-4"]] * len(channels)
    assert exchange.kalshi.listing.state().not_subscribed == 0
    # The ledger has all of them, with the channels of the new section.
    events = exchange.events
    [place] = [place for place, event in enumerate(events) if event == Unfollowed(None)]
    followed = [event for event in events[place:] if isinstance(event, Followed)]
    assert {name for event in followed for name in event.markets} == {"KX-1", "KX-2", "KX-3", "KX-4"}
    assert {tuple(event.channels) for event in followed} == {tuple(channels)}


def test_the_room_of_the_feed_is_counted_again_when_other_markets_are_named():
    def exchange_with(most: int, *named: str) -> Exchange:
        exchange = Exchange({**FOLLOWING, "channels": ["trade"], "market_tickers": list(named)}, most_markets=most)
        exchange.settle()
        born(exchange, *names(5))
        return exchange

    def after(exchange: Exchange, *named: str) -> tuple[Sequence[str] | None, int]:
        exchange.kalshi.reconfigure({**FOLLOWING, "channels": ["trade"], "market_tickers": list(named)})
        exchange.settle()
        return what_is_sent(exchange)["trade"][2], exchange.kalshi.listing.state().over_limit

    exchange = exchange_with(4, "A-1", "A-2")
    assert what_is_sent(exchange)["trade"][2] == ["A-1", "A-2", "KX-0", "KX-1"]
    assert after(exchange, "A-1") == (["A-1", "KX-0", "KX-1", "KX-2"], 2)
    assert after(exchange, "A-1", "A-2", "A-3") == (["A-1", "A-2", "A-3", "KX-0"], 4)
    assert after(exchange, "A-3") == (["A-3", "KX-0", "KX-1", "KX-2"], 2)


def test_a_market_that_one_subscription_follows_no_more_and_another_does_is_removed_from_the_first():
    both = {"tickers": ["KX-*", "KY-*"]}
    exchange = opened([{"channels": ["trade"], "follow": both}, {"channels": ["ticker"], "follow": both}])
    born(exchange, "KX-1", "KY-1")
    only = {"channels": ["ticker"], "follow": {"tickers": ["KY-*"]}}
    exchange.kalshi.reconfigure([{"channels": ["trade"], "follow": both}, only])
    rows = [{"ticker": name, "event_ticker": "KX", "status": "active"} for name in ("KX-1", "KY-1")]
    while exchange.kalshi.listing.state().last_listed_ms is None:
        request = exchange.kalshi.listing.next(exchange.now_ms)
        if isinstance(request, HttpRequest):
            found = rows if "status=open" in request.url else []
            body = json.dumps({"markets": found, "cursor": ""}).encode()
            exchange.kalshi.listing.answered(HttpAnswer(200, {}, body, 0.1), exchange.now_ms)
        exchange.now_ms += 100
    exchange.settle()
    sent = what_is_sent(exchange)
    assert (sent["trade"][2], sent["ticker"][2]) == (["KX-1", "KY-1"], ["KY-1"])
