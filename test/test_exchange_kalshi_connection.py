"""One connection to Kalshi: what was asked for, confirmed and heard, and what a refusal means."""

from __future__ import annotations

import itertools
import json
import sys
import time
from typing import Any

import pytest
from kalshi_messages import connection, delta, error, frame, ok, snapshot, subscribed, ticker

from ssmd.contracts.events import Acknowledged, ChannelState, Refused
from ssmd.errors import Disconnected, SubscriptionRefused
from ssmd.exchange.kalshi.changing_markets import remove
from ssmd.exchange.kalshi.channels import CHANNELS
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.section import TICKERS_PER_COMMAND

TWO = {"channels": ["orderbook_delta", "ticker"], "market_tickers": ["KXA-1", "KXB-2"]}
LONG = [f"KXLONG-{number}" for number in range(2 * TICKERS_PER_COMMAND + 50)]
DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS


def state(kalshi: Kalshi, channel: str) -> ChannelState:
    [found] = [each for each in kalshi.channels() if each.channel == channel]
    return found


def refusals(inspection: Any) -> list[Refused]:
    return [event for event in inspection.events if isinstance(event, Refused)]


# What is asked for.


def test_what_is_asked_for_is_reported_for_each_channel():
    kalshi = connection([TWO, {"channels": ["trade"]}])
    command = {"channels": ["orderbook_delta", "ticker"], "use_yes_price": False}
    assert list(kalshi.asked()) == [
        (1, "orderbook_delta", "subscribe", ["KXA-1", "KXB-2"], [{"id": 1, "cmd": "subscribe", "params": command}]),
        (1, "ticker", "subscribe", ["KXA-1", "KXB-2"], [{"id": 1, "cmd": "subscribe", "params": command}]),
        (2, "trade", "subscribe", None, [{"id": 2, "cmd": "subscribe", "params": {"channels": ["trade"]}}]),
    ]


def test_a_long_list_is_asked_for_as_a_whole_with_all_its_commands():
    tickers = [f"KXLONG-{number}" for number in range(2001)]
    [asked] = connection({"channels": ["trade"], "market_tickers": tickers}).asked()
    assert asked.markets == tickers
    assert [command["id"] for command in asked.commands] == list(range(1, 12))


@pytest.mark.parametrize(
    ("subscribe", "markets"),
    [
        ({"channels": ["trade"], "market_ticker": "KXA-1"}, ["KXA-1"]),
        ({"channels": ["ticker"], "market_ids": ["c5ff"]}, ["c5ff"]),
        ({"channels": ["market_lifecycle_v2"], "market_tickers": LONG}, None),
        ({}, None),
    ],
)
def test_the_markets_that_are_asked_for(subscribe, markets):
    assert {asked.channel: asked.markets for asked in connection(subscribe).asked()} == dict.fromkeys(
        subscribe.get("channels", ["ticker", "trade", "market_lifecycle_v2"]), markets
    )


# What is confirmed.


def test_a_new_connection_has_asked_and_nothing_is_confirmed_or_heard():
    kalshi = connection([TWO, {"channels": ["trade"]}])
    assert list(kalshi.channels()) == [
        ChannelState("orderbook_delta", 1, 2, 0, 0, True, 0, books_pending=0, books_missing=0),
        ChannelState("ticker", 1, 2, 0, 0, True, 0),
        ChannelState("trade", 2, None, None, None, True, 0),
    ]
    assert list(kalshi.unconfirmed("ticker")) == list(kalshi.unheard("ticker")) == ["KXA-1", "KXB-2"]
    assert list(kalshi.unconfirmed("trade")) == list(kalshi.unheard("trade")) == []


def test_a_confirmed_command_confirms_the_markets_that_it_names():
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    kalshi.inspect([subscribed(1, "trade", 3)])
    assert (state(kalshi, "trade").confirmed, state(kalshi, "trade").pending) == (TICKERS_PER_COMMAND, True)
    assert list(kalshi.unconfirmed("trade")) == LONG[TICKERS_PER_COMMAND:]
    kalshi.inspect([ok(2, 3, 1), ok(3, 3, 2)])  # Without lists, as with skip_ticker_ack.
    assert (state(kalshi, "trade").confirmed, state(kalshi, "trade").pending) == (len(LONG), False)


@pytest.mark.parametrize("at_top", [False, True])
def test_an_ok_says_which_markets_are_confirmed(at_top):
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    kalshi.inspect([subscribed(1, "trade", 3)])
    confirmed = LONG[1:-1]
    for command in (2, 3):
        lists = {"market_tickers": confirmed}
        reply = frame(id=command, sid=3, seq=command, type="ok", **(lists if at_top else {"msg": lists}))
        [acknowledged] = kalshi.inspect([reply]).events
        assert isinstance(acknowledged, Acknowledged)
    assert (len(acknowledged.tickers), acknowledged.acknowledged) == (50, 49)
    assert list(kalshi.unconfirmed("trade")) == [LONG[0], LONG[-1]]
    assert state(kalshi, "trade").confirmed == len(LONG) - 2


def test_what_is_asked_for_and_confirmed_takes_no_longer_for_each_market_when_there_are_many():
    def seconds(count: int) -> float:
        tickers = [f"KX-{number}" for number in range(count)]
        kalshi = connection({"channels": ["orderbook_delta"], "market_tickers": tickers})
        kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
        began = time.process_time()
        assert sum(len(asked.markets or ()) for asked in kalshi.asked()) == count
        for command in range(2, count // TICKERS_PER_COMMAND + 1):
            kalshi.inspect([ok(command, 1, command - 1)])
        assert state(kalshi, "orderbook_delta").confirmed == count
        return time.process_time() - began

    assert seconds(100_000) < 60 * min(seconds(10_000) for _ in range(3))


def test_names_are_compared_as_they_are():
    tickers = ["KXA-1", "kxb-2", *LONG]
    kalshi = connection({"channels": ["trade"], "market_tickers": tickers})
    kalshi.inspect([subscribed(1, "trade", 3), ok(2, 3, 1), ok(3, 3, 2, market_tickers=["KXA-1", "KXB-2", *LONG])])
    assert list(kalshi.unconfirmed("trade")) == ["kxb-2"]


def test_a_channel_without_a_list_is_confirmed_as_a_whole():
    kalshi = connection({"channels": ["trade", "market_lifecycle_v2"], "market_tickers": LONG})
    events = kalshi.inspect([subscribed(1, "trade", 1), subscribed(1, "market_lifecycle_v2", 2)]).events
    assert events[1] == Acknowledged("market_lifecycle_v2", 2, 1)
    assert state(kalshi, "market_lifecycle_v2") == ChannelState("market_lifecycle_v2", 1, None, None, None, False, 0)
    assert state(kalshi, "trade").pending


# What is heard.


def test_a_market_is_heard_when_a_message_of_it_comes_on_the_channel():
    kalshi = connection(TWO)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1), subscribed(1, "ticker", 2)])
    kalshi.inspect([snapshot("KXA-1", 1), delta("KXA-1", 2), ticker("KXB-2"), ticker("kxa-1"), b"not json"])
    assert [each.heard for each in kalshi.channels()] == [1, 1]
    assert list(kalshi.unheard("orderbook_delta")) == ["KXB-2"]
    assert list(kalshi.unheard("ticker")) == ["KXA-1"]
    kalshi.inspect([delta("KXB-2", 3), ticker("KXA-1")])
    assert [each.heard for each in kalshi.channels()] == [2, 2]


def test_a_market_is_heard_when_its_message_comes_before_the_confirmation():
    kalshi = connection([TWO, {"channels": ["trade"]}])
    kalshi.inspect([ticker("KXA-1", sid=7), ticker("KXB-2", sid=8), error(99, head={"sid": 7}, market_ticker="KXB-2")])
    kalshi.inspect([subscribed(1, "ticker", 7)])
    assert list(kalshi.unheard("ticker")) == ["KXB-2"]
    kalshi.inspect([subscribed(1, "orderbook_delta", 9)])
    assert list(kalshi.unheard("orderbook_delta")) == ["KXA-1", "KXB-2"]


@pytest.mark.parametrize(
    "other",
    [
        error(26, head={"sid": 2}, market_ticker="KXA-1"),
        frame(type="x", sid=2),
        frame(type="x", sid=2, msg=None),
        frame(type="x", sid=2, msg=["KXA-1"]),
        frame(type="x", sid=2, msg={"market_ticker": None}),
        frame(type="x", sid=2, msg={"market_ticker": 7, "market_id": "KXA-1"}),
        b"not json",
    ],
)
def test_a_market_is_heard_among_messages_of_any_other_form(other):
    kalshi = connection(TWO)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1), subscribed(1, "ticker", 2)])
    kalshi.inspect([other, ticker("KXB-2"), other])
    assert list(kalshi.unheard("ticker")) == ["KXA-1"]
    assert state(kalshi, "orderbook_delta").heard == 0


def test_messages_are_decoded_once_also_while_some_market_is_silent(monkeypatch):
    """There is nearly always one, and to decode each message again for it would take as long as the first time."""
    kalshi = connection(TWO)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1), subscribed(1, "ticker", 2)])
    monkeypatch.delattr("ssmd.exchange.kalshi.hearing.market_in")
    for seq in range(1, 9, 2):
        kalshi.inspect([delta("KXA-1", seq), ticker("KXB-2"), delta("KXA-1", seq + 1)])
    assert list(kalshi.unheard("ticker")) == ["KXA-1"]
    assert list(kalshi.unheard("orderbook_delta")) == ["KXB-2"]


def test_an_error_about_a_market_is_no_message_of_it():
    kalshi = connection(TWO)
    kalshi.inspect([subscribed(1, "ticker", 2), error(26, head={"sid": 2}, market_ticker="KXA-1")])
    assert state(kalshi, "ticker").heard == 0


@pytest.mark.parametrize(
    ("channel", "names", "field"),
    [
        ("user_orders", {"market_tickers": ["KXA-1"]}, "ticker"),
        ("ticker", {"market_ids": ["KXA-1"]}, "market_id"),
        ("cfbenchmarks_value", {"index_ids": ["KXA-1"]}, "index_id"),
        ("pyth_value", {"underlying_tickers": ["KXA-1"]}, "underlying_ticker"),
    ],
)
def test_messages_are_matched_by_the_name_with_which_a_market_was_asked_for(channel, names, field):
    kalshi = connection({"channels": [channel], **names})
    kalshi.inspect([subscribed(1, channel, 9), frame(type="x", sid=9, msg={field: "KXA-1"})])
    assert state(kalshi, channel).heard == 1


@pytest.mark.parametrize("size", [1, 2, 9])
def test_activity_changes_with_each_batch_that_has_a_message_of_the_channel(size):
    kalshi = connection(TWO)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1), subscribed(1, "ticker", 2)])
    before = [each.activity for each in kalshi.channels()]
    kalshi.inspect([ticker("KXA-1")] * size)
    after = [each.activity for each in kalshi.channels()]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    kalshi.inspect([delta("KXA-1", 1 + number) for number in range(size)])
    assert state(kalshi, "orderbook_delta").activity != before[0]
    assert state(kalshi, "ticker").activity == after[1]


def test_silence_is_normal_on_channels_of_an_account():
    silent = {name for name, channel in CHANNELS.items() if channel.may_be_silent}
    assert silent >= {"fill", "market_positions", "user_orders", "order_group_updates", "communications"}
    kalshi = connection({"channels": ["fill", "trade"]})
    assert [each.may_be_silent for each in kalshi.channels()] == [True, False]


# What is refused.


def test_too_many_markets_leave_what_is_confirmed():
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    inspection = kalshi.inspect(
        [subscribed(1, "trade", 3), error(26, "limit", head={"id": 2}), error(26, "limit", head={"id": 3})]
    )
    assert inspection.failure is None
    assert refusals(inspection) == [
        Refused(
            "trade",
            26,
            "Kalshi error 26: limit; 250 of 450 markets of trade are not collected: "
            "name fewer markets, or divide them among several collectors with --shard",
            2,
        )
    ]
    assert state(kalshi, "trade")[2:6] == (450, 200, 0, False)
    assert list(kalshi.unacknowledged()) == []
    assert list(kalshi.unconfirmed("trade")) == LONG[TICKERS_PER_COMMAND:]


def test_a_channel_may_be_refused_and_another_one_of_the_same_command_confirmed():
    kalshi = connection({"channels": ["trade", "ticker"], "market_tickers": LONG})
    kalshi.inspect([subscribed(1, "trade", 3), subscribed(1, "ticker", 4)])
    found = kalshi.inspect([error(26, head={"id": 2, "sid": 3, "seq": 1}), ok(2, 4, 0)])
    assert [each.channel for each in refusals(found)] == ["trade"]
    assert (state(kalshi, "trade").confirmed, state(kalshi, "ticker").confirmed) == (200, 400)
    # Without a sid, the error is about all channels that wait, until another answer comes.
    kalshi.inspect([error(26, head={"id": 3}), ok(3, 4, 0)])
    assert (state(kalshi, "trade").confirmed, state(kalshi, "ticker").confirmed) == (200, 450)


def test_refusals_that_come_together_keep_the_events_in_order_of_their_places():
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    kalshi.inspect([subscribed(1, "trade", 3), frame(type="trade", sid=3, seq=1)])
    gap = frame(type="trade", sid=3, seq=5)
    events = kalshi.inspect([error(26, head={"id": 2}), gap, error(26, head={"id": 3})]).events
    assert [(type(event).__name__, getattr(event, "place", None)) for event in events] == [("Gap", 1), ("Refused", 2)]


def test_a_limit_that_leaves_nothing_ends_the_run():
    kalshi = connection({"channels": ["trade"], "market_tickers": ["KXA-1"]})
    inspection = kalshi.inspect([error(26, "limit", head={"id": 1})])
    assert isinstance(inspection.failure, SubscriptionRefused)
    assert [each.code for each in refusals(inspection)] == [26]


def test_a_channel_without_a_list_of_markets_is_refused_without_a_count():
    kalshi = connection({"channels": ["trade", "market_lifecycle_v2"], "market_tickers": ["KXA-1"]})
    texts = [each.text for each in refusals(kalshi.inspect([error(26, "limit", head={"id": 1})]))]
    remedy = "name fewer markets, or divide them among several collectors with --shard"
    assert texts == [
        f"Kalshi error 26: limit; 1 of 1 markets of trade are not collected: {remedy}",
        f"Kalshi error 26: limit; market_lifecycle_v2 is not collected: {remedy}",
    ]


def test_a_limit_without_the_command_is_reported():
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    inspection = kalshi.inspect([subscribed(1, "trade", 3), error(26)])
    assert inspection.failure is None
    assert [(each.channel, each.place) for each in refusals(inspection)] == [("", 1)]


@pytest.mark.parametrize("code", [3, 8, 9, 11, 14, 24, 28, 99])
def test_a_refusal_that_ends_the_run_is_reported_too(code):
    kalshi = connection({"channels": ["trade", "ticker"]})
    inspection = kalshi.inspect([subscribed(1, "ticker", 1), error(code, "no", head={"id": 1})])
    assert isinstance(inspection.failure, SubscriptionRefused)
    assert refusals(inspection) == [Refused("trade", code, str(inspection.failure), 1)]


SECTION = "the environment's subscribe section"


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (2, "try a newer version of ssmd, or report this"),
        (8, f"correct the name of the channel in {SECTION}, or leave it out"),
        (9, f"use another key, one that may read these channels, or leave them out of {SECTION}"),
        (11, f"correct the parameters in {SECTION}"),
        (14, f"name markets with market_tickers in {SECTION}"),
        (16, f"correct the names of the markets in {SECTION}, or leave out those that no longer exist"),
        (21, f"correct shard_factor and shard_key in {SECTION}"),
        (24, f"name indices with index_ids in {SECTION}"),
        (28, f"name what to collect with underlying_tickers in {SECTION}"),
        (99, f"; correct {SECTION}"),
        (None, f"; correct {SECTION}"),
    ],
)
def test_a_refusal_says_what_to_do_about_its_code(code, remedy):
    kalshi = connection({"channels": ["trade"]})
    assert str(kalshi.inspect([error(code, "no", head={"id": 1})]).failure).endswith(remedy)


def test_a_refused_command_of_several_channels_says_that_it_asked_for_all_of_them():
    kalshi = connection({"channels": ["trade", "fill", "ticker"]})
    inspection = kalshi.inspect([error(9, "Authentication required", head={"id": 1})])
    assert [each.channel for each in refusals(inspection)] == ["trade", "fill", "ticker"]
    text = "one command asked for trade, fill, ticker, and any of them may be the reason; use another key"
    assert all(text in each.text for each in refusals(inspection))
    alone = connection({"channels": ["fill"]}).inspect([error(9, head={"id": 1})])
    assert "one command" not in str(alone.failure)


# Too many commands.


def sent(kalshi: Kalshi, now_ms: int) -> list[int]:
    return [json.loads(command)["id"] for command in kalshi.tick(now_ms).commands]


def test_too_many_commands_are_sent_again_later():
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    inspection = kalshi.inspect([subscribed(1, "trade", 3), error(27, head={"id": 2}), error(27, head={"id": 3})])
    assert inspection.failure is None
    [refused] = refusals(inspection)
    text = "Kalshi error 27: no such thing; the command is sent again, after a pause of 1 s"
    assert refused == Refused("trade", 27, text, 1, for_now=True)
    assert sent(kalshi, NOW_MS) == []
    assert sent(kalshi, NOW_MS + 1000) == [2, 3]
    assert sent(kalshi, NOW_MS + 2000) == []
    kalshi.inspect([ok(2, 3, 1), ok(3, 3, 2)])
    assert state(kalshi, "trade").confirmed == len(LONG)


def test_a_command_that_is_answered_meanwhile_is_not_sent_again():
    kalshi = connection({"channels": ["trade"], "market_tickers": LONG})
    kalshi.inspect([subscribed(1, "trade", 3), error(27), ok(2, 3, 1)])
    sent(kalshi, NOW_MS)
    assert sent(kalshi, NOW_MS + 1000) == [3]


def test_the_pause_doubles_up_to_a_minute():
    kalshi = connection({"channels": ["trade"]})
    kalshi.inspect([error(27, head={"id": 1})])
    sent_at: list[int] = []
    now_ms = NOW_MS
    while len(sent_at) < 9:
        if sent(kalshi, now_ms):
            sent_at.append(now_ms)
            assert kalshi.inspect([error(27, head={"id": 1})]).failure is None
        now_ms += 1000
    pauses = [(later - earlier) // 1000 for earlier, later in itertools.pairwise(sent_at)]
    # The pause begins with the tick after the refusal.
    assert pauses == [3, 5, 9, 17, 33, 61, 61, 61]


@pytest.mark.parametrize("code", [10, 17, 25])
def test_a_subscription_that_is_over_ends_the_run_whatever_was_asked(code):
    kalshi = connection(TWO)
    assert isinstance(kalshi.inspect([error(code, head={"id": 2})]).failure, Disconnected)


# Memory.


def test_markets_that_are_all_confirmed_and_heard_take_no_memory_in_the_sets_of_those_that_are_not():
    asked = dict.fromkeys(LONG)
    remove(asked, [*LONG, "KX-NEVER-ASKED"])
    assert sys.getsizeof(asked) == sys.getsizeof({})
