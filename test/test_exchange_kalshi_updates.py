"""Markets that are added to the channels of an open connection to Kalshi, and removed from them."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kalshi_messages import connection, delta, error, ok, snapshot, subscribed

from ssmd.contracts.events import (
    Acknowledged,
    Asked,
    ChannelState,
    Event,
    Refused,
    SnapshotsReceived,
    SnapshotsRequested,
)
from ssmd.contracts.exchange import Inspection
from ssmd.exchange.kalshi.connection import CHANGING_SECONDS
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.section import TICKERS_PER_COMMAND
from ssmd.exchange.kalshi.updates import ANSWER_MS, MOST_UNANSWERED, RETRY_MS
from ssmd.sim.limits import Limits
from ssmd.sim.markets import Markets
from ssmd.sim.session import Session

NOW_MS = 20_000 * 86_400_000
FOLLOW = {"channels": ["orderbook_delta", "trade", "market_lifecycle_v2"], "follow": {"series": ["KX"]}}


class Exchange:
    """The simulated Kalshi and a connection to it. Every command has its replies when the test asks for them."""

    def __init__(
        self,
        subscribe: Any = FOLLOW,
        *,
        per_second: float | None = None,
        most_markets: int | None = None,
        **limits: Any,
    ) -> None:
        self.session = Session(Markets(1), Limits(**limits))
        self.kalshi = connection(subscribe, per_second, most_markets)
        self.now_ms = NOW_MS
        self.kalshi.opening("wss://host/ws", NOW_MS)
        self.commands: list[dict[str, Any]] = []
        self.waiting = list(self.kalshi.commands())
        self.events: list[Event] = list(self.kalshi.asked())

    def change(self, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self.kalshi.subscriptions.change(1, add, remove)

    def tick(self, seconds: float | None = None) -> None:
        """Let the connection act when its next tick is due, or after so many seconds."""
        self.now_ms += int(1000 * (self.kalshi.tick_seconds or 0 if seconds is None else seconds))
        self._take(self.kalshi.tick(self.now_ms))

    def answer(self, *, lost: bool = False) -> None:
        """Let the exchange answer all commands; with `lost`, it does what they say, and no answer arrives."""
        while self.waiting:
            command = self.waiting.pop(0)
            self.commands.append(json.loads(command))
            replies = self.session.receive(command, self.now_ms * 1_000_000)
            if not lost:
                self._take(self.kalshi.inspect(replies))

    def settle(self, seconds: int = 5) -> None:
        """Let everything happen that takes at most this time."""
        end_ms = self.now_ms + 1000 * seconds
        self.answer()
        while self.now_ms < end_ms:
            self.tick()
            self.answer()

    def _take(self, found: Inspection) -> None:
        assert found.failure is None
        self.events += found.events
        self.waiting += found.commands
        if found.due:
            self._take(self.kalshi.tick(self.now_ms))

    def state(self, channel: str) -> ChannelState:
        return next(each for each in self.kalshi.channels() if each.channel == channel)

    def counts(self, channel: str) -> tuple[int | None, int | None, int | None]:
        state = self.state(channel)
        return state.asked, state.confirmed, state.heard

    def subscribed(self, channel: str) -> list[str]:
        """Return what the exchange sends on a channel."""
        subscription = self.session._by_channel.get(channel)
        return [] if subscription is None else list(subscription.tickers or ())

    def asked(self, channel: str) -> list[tuple[str, Sequence[str] | None]]:
        found = [each for each in self.events if isinstance(each, Asked) and each.channel == channel]
        return [(each.action, each.markets) for each in found]

    def sent(self) -> list[tuple[Any, ...]]:
        """Return what each command since the last call does, and for how many markets."""
        found = []
        for command in self.commands:
            params = command["params"]
            what = params.get("action", command["cmd"])
            found.append((what, params.get("sids", params.get("channels"))[0], len(params.get("market_tickers", ()))))
        self.commands = []
        return found


def names(count: int, first: int = 0) -> list[str]:
    return [f"KX-{number}" for number in range(first, first + count)]


# Adding and removing.


def test_a_channel_is_opened_when_its_first_market_is_known_and_changed_by_its_sid_then():
    exchange = Exchange()
    exchange.settle()
    assert exchange.sent() == [("subscribe", "market_lifecycle_v2", 0)]
    state = exchange.state("trade")
    assert (state.asked, state.confirmed, state.pending, state.unsent) == (0, 0, False, True)
    exchange.change(["KX-1", "KX-2"])
    assert exchange.kalshi.tick_seconds == CHANGING_SECONDS
    exchange.settle()
    assert exchange.sent() == [("subscribe", "orderbook_delta", 2), ("subscribe", "trade", 2)]
    exchange.change(["KX-3"], ["KX-1"])
    exchange.settle()
    assert exchange.sent() == [
        ("delete_markets", 2, 1), ("delete_markets", 3, 1), ("add_markets", 2, 1), ("add_markets", 3, 1)
    ]
    assert exchange.subscribed("orderbook_delta") == exchange.subscribed("trade") == ["KX-2", "KX-3"]
    assert exchange.asked("trade") == [("subscribe", ["KX-1", "KX-2"]), ("remove", ["KX-1"]), ("add", ["KX-3"])]
    assert exchange.counts("trade") == (2, 2, 0)
    assert exchange.counts("orderbook_delta") == (2, 2, 2)
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)
    assert not exchange.kalshi.subscriptions.is_changing


def test_the_commands_are_exactly_these():
    exchange = Exchange({**FOLLOW, "use_yes_price": True, "channels": ["orderbook_delta", "ticker"],
                         "send_initial_snapshot": True})
    exchange.change(["KX-1"])
    exchange.settle()
    exchange.change(["KX-2"], ["KX-1"])
    exchange.settle()
    flags = {"send_initial_snapshot": True}
    assert exchange.commands == [
        {"id": 1, "cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}},
        {"id": 2, "cmd": "subscribe", "params":
            {"use_yes_price": True, **flags, "channels": ["orderbook_delta"], "market_tickers": ["KX-1"]}},
        {"id": 3, "cmd": "subscribe", "params": {**flags, "channels": ["ticker"], "market_tickers": ["KX-1"]}},
        {"id": 4, "cmd": "update_subscription", "params":
            {"sids": [2], "action": "delete_markets", "market_tickers": ["KX-1"]}},
        {"id": 5, "cmd": "update_subscription", "params":
            {"sids": [3], "action": "delete_markets", "market_tickers": ["KX-1"]}},
        {"id": 6, "cmd": "update_subscription", "params":
            {"sids": [2], "action": "add_markets", "market_tickers": ["KX-2"]}},
        {"id": 7, "cmd": "update_subscription", "params":
            {"sids": [3], "action": "add_markets", **flags, "market_tickers": ["KX-2"]}},
    ]


def test_named_and_followed_markets_are_a_union():
    exchange = Exchange({**FOLLOW, "market_tickers": ["KX-1", "KX-2"]})
    exchange.settle()
    exchange.change(["KX-2", "KX-3"])
    exchange.change([], ["KX-1", "KX-2", "KX-9"])
    exchange.settle()
    assert exchange.subscribed("trade") == ["KX-1", "KX-2", "KX-3"]
    assert sorted(exchange.kalshi.subscriptions.confirmed(1)) == ["KX-1", "KX-2", "KX-3"]


def test_a_market_that_is_added_and_removed_before_the_next_tick_is_never_asked_for():
    exchange = Exchange()
    exchange.settle()
    exchange.change(["KX-1"])
    exchange.change([], ["KX-1"])
    exchange.settle()
    assert exchange.sent() == [("subscribe", "market_lifecycle_v2", 0)]
    assert exchange.asked("trade") == []


def test_a_market_that_is_removed_and_added_before_the_next_tick_stays():
    exchange = Exchange()
    exchange.change(["KX-1"])
    exchange.settle()
    exchange.sent()
    exchange.change([], ["KX-1"])
    exchange.change(["KX-1"])
    exchange.settle()
    assert exchange.sent() == []
    assert exchange.counts("trade")[:2] == (1, 1)


def test_a_market_that_is_added_while_its_removal_is_unanswered_is_added_after_it():
    exchange = Exchange()
    exchange.change(["KX-1", "KX-2"])
    exchange.settle()
    exchange.sent()
    exchange.change([], ["KX-1"])
    exchange.tick()
    exchange.change(["KX-1"])
    exchange.tick()
    assert exchange.counts("orderbook_delta")[:2] == (2, 1)
    exchange.answer()
    exchange.settle()
    assert [what for what, sid, _ in exchange.sent() if sid == 2] == ["delete_markets", "add_markets"]
    assert exchange.subscribed("orderbook_delta") == ["KX-2", "KX-1"]
    assert exchange.counts("orderbook_delta") == (2, 2, 2)
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)


def test_a_market_that_is_removed_while_its_addition_is_unanswered_is_removed_after_it():
    exchange = Exchange()
    exchange.change(["KX-1", "KX-2"])
    exchange.tick()
    exchange.change([], ["KX-1"])
    exchange.settle()
    assert exchange.subscribed("trade") == ["KX-2"]
    assert exchange.asked("trade") == [("subscribe", ["KX-1", "KX-2"]), ("remove", ["KX-1"])]
    assert exchange.counts("orderbook_delta") == (1, 1, 1)


def test_a_market_is_confirmed_when_all_channels_that_take_a_list_have_confirmed_it():
    exchange = Exchange()
    exchange.answer()
    exchange.change(["KX-1"])
    exchange.tick()
    confirmed = exchange.kalshi.subscriptions.confirmed(1)
    [first, second] = [json.loads(command)["id"] for command in exchange.waiting]
    exchange.kalshi.inspect([subscribed(first, "orderbook_delta", 7)])
    assert ("KX-1" in confirmed, len(confirmed), list(confirmed)) == (False, 0, [])
    exchange.kalshi.inspect([subscribed(second, "trade", 8)])
    assert ("KX-1" in confirmed, len(confirmed), list(confirmed)) == (True, 1, ["KX-1"])
    exchange.change([], ["KX-1"])
    assert len(confirmed) == 0


def test_an_answer_that_does_not_list_a_market_does_not_confirm_it():
    exchange = Exchange({"channels": ["trade"], "follow": "all"})
    exchange.change(["KX-1"])
    exchange.settle()
    exchange.change(["KX-2", "KX-3"])
    exchange.tick()
    [command] = map(json.loads, exchange.waiting)
    [event] = exchange.kalshi.inspect([ok(command["id"], 2, 1, market_tickers=["KX-1", "KX-3"])]).events
    assert event == Acknowledged("trade", 2, 0, ["KX-2", "KX-3"], 1, is_change=True, unconfirmed=("KX-2",))
    assert exchange.counts("trade")[:2] == (3, 2)
    exchange.waiting.clear()
    exchange.settle(RETRY_MS // 1000 + 5)
    assert exchange.sent()[-1] == ("add_markets", 2, 1)
    assert exchange.counts("trade")[:2] == (3, 3)


# Refusals.


@pytest.mark.parametrize(("limit", "wanted"), [(1, 500), (250, 1000), (199, 200), (200, 200), (1234, 3000)])
def test_a_limit_is_filled_and_the_rest_is_counted(limit, wanted):
    exchange = Exchange({"channels": ["trade", "market_lifecycle_v2"], "follow": "all"}, markets=limit)
    exchange.settle()
    exchange.change(names(wanted))
    exchange.settle(20)
    missing = max(0, wanted - limit)
    assert exchange.counts("trade")[:2] == (wanted, min(limit, wanted))
    assert exchange.kalshi.subscriptions.over_limit(1) == missing
    assert exchange.state("trade").changing == 0
    refused = [each for each in exchange.events if isinstance(each, Refused)]
    assert len(refused) <= 1
    if missing:
        assert f"{missing:,} of {wanted:,} markets of trade are not collected" in refused[-1].text
        assert refused[-1].for_now
    assert len(exchange.sent()) < 40
    exchange.settle(60)
    assert exchange.sent() == [], "no command without a reason"


def test_when_markets_are_removed_others_take_their_place():
    exchange = Exchange({"channels": ["trade"], "follow": "all"}, markets=300)
    exchange.change(names(400))
    exchange.settle(20)
    exchange.change([], names(50))
    exchange.settle(20)
    assert exchange.counts("trade")[:2] == (350, 300)
    assert exchange.kalshi.subscriptions.over_limit(1) == 50
    exchange.change([], names(60, first=50))
    exchange.settle(20)
    assert exchange.counts("trade")[:2] == (290, 290)
    assert sorted(exchange.subscribed("trade")) == sorted(names(290, first=110))


def test_a_limit_that_is_raised_is_noticed_within_ten_minutes():
    exchange = Exchange({"channels": ["trade"], "follow": "all"}, markets=300)
    exchange.change(names(1000))
    exchange.settle(20)
    exchange.session._limits = Limits(markets=10_000)
    exchange.settle(RETRY_MS // 1000 + 20)
    assert exchange.counts("trade")[:2] == (1000, 1000)


def test_what_is_left_of_the_room_is_filled_with_markets_of_the_section():
    exchange = Exchange({"channels": ["trade"], "market_tickers": names(450)}, markets=270)
    exchange.settle(20)
    assert exchange.counts("trade")[:2] == (450, 270)
    refused = [each for each in exchange.events if isinstance(each, Refused)]
    assert "; 180 of 450 markets of trade are not collected: " in refused[-1].text
    assert not refused[-1].for_now, "a person named them, and should name fewer"


def test_a_rate_limit_pauses_and_loses_nothing():
    exchange = Exchange({"channels": ["trade"], "follow": "all"}, commands_per_second=2)
    exchange.change(names(3000))
    exchange.settle(400)
    assert exchange.counts("trade")[:2] == (3000, 3000)
    assert any(isinstance(each, Refused) and each.code == 27 for each in exchange.events)
    assert exchange.asked("trade")[0][0] == "subscribe"
    assert sorted(name for _, markets in exchange.asked("trade") for name in markets or ()) == sorted(names(3000))


def test_after_a_refusal_many_small_changes_are_put_together_so_that_there_is_no_other():
    """Markets are born faster than commands may be sent."""
    exchange = Exchange({"channels": ["orderbook_delta", "trade"], "follow": "all"}, commands_per_second=20)
    exchange.change(["KX-0"])
    exchange.settle()
    for step in range(1200):
        exchange.change(names(8, first=1 + 8 * step))
        exchange.tick(0.05)
        exchange.answer()
    exchange.settle(2)
    assert exchange.counts("trade")[:2] == (9601, 9601)
    refused = [each.text for each in exchange.events if isinstance(each, Refused)]
    assert {text.partition("pause of ")[2] for text in refused} == {"1 s"}


def test_order_books_are_asked_for_between_changes_that_never_end():
    exchange = Exchange({"channels": ["orderbook_delta"], "follow": "all"}, per_second=2)
    exchange.change(names(300))
    exchange.settle(10)
    [sid] = {each.sid for each in exchange.events if isinstance(each, SnapshotsReceived)}
    exchange.kalshi.inspect([delta("KX-1", 99_999, sid=sid)])
    for step in range(300):
        exchange.change(names(8, first=1000 + 8 * step))
        exchange.tick(0.1)
        exchange.answer()
    asked = [market for each in exchange.events if isinstance(each, SnapshotsRequested) for market in each.markets]
    assert {*names(300)} <= {*asked}


def test_changes_keep_the_pace_of_the_feed():
    exchange = Exchange({"channels": ["trade"], "follow": "all"}, per_second=2)
    exchange.change(names(3000))
    begin = exchange.now_ms
    exchange.settle(20)
    assert exchange.counts("trade")[:2] == (3000, 3000)
    assert len([action for action, _, count in exchange.sent() if count]) == 15
    assert exchange.now_ms > begin


@pytest.mark.parametrize("named", [True, False])
def test_a_market_that_the_exchange_does_not_know_spoils_no_other(named):
    kalshi = connection({"channels": ["trade"], "follow": "all"})
    kalshi.subscriptions.change(1, names(200), [])
    bad, alone, now_ms = "KX-77", 0, NOW_MS
    for _ in range(200):
        now_ms += 1000
        for command in map(json.loads, kalshi.tick(now_ms).commands):
            markets = command["params"]["market_tickers"]
            if bad in markets:
                alone += len(markets) == 1
                more: dict[str, Any] = {"market_tickers": [bad]} if named else {}
                kalshi.inspect([error(16, head={"id": command["id"]}, **more)])
            elif command["cmd"] == "subscribe":
                kalshi.inspect([subscribed(command["id"], "trade", 1)])
            else:
                kalshi.inspect([ok(command["id"], 1, 1)])
    assert list(kalshi.unconfirmed("trade")) == [bad]
    assert alone == (0 if named else 1)


def test_a_channel_that_is_refused_leaves_the_others():
    exchange = Exchange({"channels": ["trade", "fill"], "follow": "all"})
    exchange.change(["KX-1"])
    exchange.settle()
    assert exchange.counts("trade")[:2] == (1, 1)
    [refused] = [each for each in exchange.events if isinstance(each, Refused)]
    assert (refused.channel, refused.code, refused.for_now) == ("fill", 9, False)
    exchange.change(["KX-2"])
    exchange.settle(RETRY_MS // 1000 + 60)
    assert [each for each in exchange.sent() if each[1] == "fill"] == [("subscribe", "fill", 1)]


# Answers that do not come.


def test_a_lost_answer_is_made_up_for():
    exchange = Exchange()
    exchange.change(["KX-1", "KX-2"])
    exchange.settle()
    exchange.change(["KX-3"], ["KX-1"])
    exchange.tick()
    exchange.answer(lost=True)
    assert exchange.state("trade").changing == 1
    exchange.settle(ANSWER_MS // 1000 - 5)
    assert exchange.state("trade").changing == 0
    assert exchange.counts("trade")[:2] == (2, 1)
    exchange.settle(10)
    assert exchange.counts("trade")[:2] == (2, 2)
    assert exchange.subscribed("trade") == ["KX-2", "KX-3"]
    # The answer took two snapshots with it: that of the gap is asked for again.
    exchange.settle(60)
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)


def test_no_more_than_a_few_commands_wait_for_an_answer():
    exchange = Exchange({"channels": ["trade"], "follow": "all"})
    exchange.change(["KX-X"])
    exchange.settle()
    exchange.change(names(5000))
    exchange.tick()
    exchange.tick()
    assert len(exchange.waiting) == MOST_UNANSWERED
    exchange.answer()
    assert exchange.counts("trade")[:2] == (5001, 5001)
    assert exchange.now_ms < NOW_MS + 7000, "further commands are sent with the answers, and wait for no tick"


# Order books.


def test_books_of_added_markets_are_reported_once_and_asked_for_when_they_do_not_come():
    kalshi = connection({"channels": ["orderbook_delta"], "market_tickers": ["KX-1"], "follow": "all"})
    kalshi.opening("wss://host/ws", NOW_MS)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
    [received] = kalshi.inspect([snapshot("KX-1", 1)]).events
    assert isinstance(received, SnapshotsReceived)
    kalshi.subscriptions.change(1, ["KX-2"], [])
    [command] = map(json.loads, kalshi.tick(NOW_MS).commands)
    kalshi.inspect([ok(command["id"], 1, 2)])
    assert kalshi.channels()[0].books_pending == 1
    assert kalshi.inspect([snapshot("KX-2", 3)]).events == [], "no line for each market"
    kalshi.subscriptions.change(1, ["KX-3"], [])
    [command] = map(json.loads, kalshi.tick(NOW_MS + 250).commands)
    kalshi.inspect([ok(command["id"], 1, 4)])
    commands = [json.loads(each) for second in range(1, 33) for each in kalshi.tick(NOW_MS + 1000 * second).commands]
    assert [each["params"]["market_tickers"] for each in commands] == [["KX-3"]]
    assert [type(each) for each in kalshi.inspect([snapshot("KX-3", 5, id=commands[0]["id"])]).events] == [
        SnapshotsReceived
    ]


def test_a_snapshot_of_an_added_market_may_come_before_the_answer():
    kalshi = connection({"channels": ["orderbook_delta"], "follow": "all"})
    kalshi.subscriptions.change(1, ["KX-1"], [])
    [command] = map(json.loads, kalshi.tick(NOW_MS).commands)
    kalshi.inspect([snapshot("KX-1", 1), subscribed(command["id"], "orderbook_delta", 1)])
    kalshi.subscriptions.change(1, ["KX-2"], [])
    [command] = map(json.loads, kalshi.tick(NOW_MS).commands)
    kalshi.inspect([snapshot("KX-2", 2), ok(command["id"], 1, 3)])
    assert kalshi.channels()[0][3:5] == (2, 2)
    assert kalshi.channels()[0][7:9] == (0, 0)


def test_a_removed_market_is_neither_missing_nor_pending():
    kalshi = connection({"channels": ["orderbook_delta"], "follow": "all"})
    kalshi.opening("wss://host/ws", NOW_MS)
    kalshi.subscriptions.change(1, names(3), [])
    [command] = map(json.loads, kalshi.tick(NOW_MS).commands)
    kalshi.inspect([subscribed(command["id"], "orderbook_delta", 1), snapshot("KX-0", 1), snapshot("KX-1", 2)])
    for second in range(1, 200):
        kalshi.tick(NOW_MS + 1000 * second)
    assert kalshi.channels()[0][7:9] == (0, 1)
    kalshi.subscriptions.change(1, [], ["KX-2"])
    [command] = map(json.loads, kalshi.tick(NOW_MS + 201_000).commands)
    assert kalshi.channels()[0][7:9] == (0, 0)
    kalshi.inspect([ok(command["id"], 1, 3), delta("KX-0", 9)])
    asked = [json.loads(each) for each in kalshi.tick(NOW_MS + 202_000).commands]
    assert [each["params"]["market_tickers"] for each in asked] == [["KX-0", "KX-1"]]


# Whatever happens.

MARKETS = names(6)

# It is not known whether the first command was carried out.
REMOVED_TWICE_WITHOUT_AN_ANSWER = [(step, ["KX-0"]) for step in ("add", "tick", "remove", "wait", "add", "remove")]
# The first removal has no answer, and the exchange refuses the second: there is nothing left to remove.
WANTED_AGAIN_AFTER_A_REFUSED_REMOVAL = [
    *[(step, ["KX-0"]) for step in ("add", "tick", "answer")],
    ("add", ["KX-1"]),
    *[(step, ["KX-0"]) for step in ("remove", "tick", "wait", "add")],
]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 8),
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add", "remove", "tick", "answer", "lost", "wait", "late"]),
            st.lists(st.sampled_from(MARKETS), max_size=4),
        ),
        max_size=40,
    ),
)
@example(1, REMOVED_TWICE_WITHOUT_AN_ANSWER)
@example(1, WANTED_AGAIN_AFTER_A_REFUSED_REMOVAL)
def test_what_is_wanted_is_subscribed_to_in_the_end(limit, steps):
    exchange = Exchange(markets=limit, commands_per_second=4)
    exchange.answer()
    wanted: dict[str, None] = {}
    late: list[bytes] = []
    for step, markets in steps:
        if step == "add":
            exchange.change(markets)
            wanted |= dict.fromkeys(markets)
        elif step == "remove":
            exchange.change([], markets)
            wanted = {name: None for name in wanted if name not in markets}
        elif step in ("tick", "wait"):
            exchange.tick(40 if step == "wait" else None)
        elif step == "late" and exchange.waiting:
            late += exchange.session.receive(exchange.waiting.pop(0), exchange.now_ms * 1_000_000)
        else:
            if late:
                exchange._take(exchange.kalshi.inspect(late))
                late = []
            # Without the answer that opens a channel, its sid is not known.
            is_open = all(channel.sid for channel in exchange.kalshi.subscriptions.channels.values())
            exchange.answer(lost=step == "lost" and is_open)
        assert exchange.counts("trade")[0] == len(wanted)
    if late:
        exchange._take(exchange.kalshi.inspect(late))
    exchange.settle(RETRY_MS // 1000 + 120)
    for channel in ("trade", "orderbook_delta"):
        # What is left out is over the limit, and nothing else is subscribed to.
        found = exchange.subscribed(channel)
        assert set(found) <= set(wanted)
        assert len(found) == min(limit, len(wanted))
        assert exchange.counts(channel)[:2] == (len(wanted), len(found))
    assert exchange.state("orderbook_delta")[7:9] == (0, 0)


# Many markets.


def opened(count: int) -> Kalshi:
    """Return a connection that follows so many markets, all confirmed, heard and with books."""
    kalshi = connection({"channels": ["orderbook_delta", "trade"], "follow": "all"})
    kalshi.subscriptions.change(1, names(count), [])
    answer_all(kalshi)
    return kalshi


def answer_all(kalshi: Kalshi) -> None:
    seq = {1: kalshi._next_seq.get(1, 1), 2: kalshi._next_seq.get(2, 1)}
    sids = {"orderbook_delta": 1, "trade": 2}
    now_ms = NOW_MS
    while commands := kalshi.tick(now_ms).commands:
        for command in map(json.loads, commands):
            if command["cmd"] == "subscribe":
                [channel] = command["params"]["channels"]
                sid = sids[channel]
                replies = [subscribed(command["id"], channel, sid)]
            else:
                [sid] = command["params"]["sids"]
                replies = [ok(command["id"], sid, seq[sid])]
                seq[sid] += 1
            if sid == 1 and command["params"].get("action") != "delete_markets":
                replies += [snapshot(name, seq[1] + at) for at, name in enumerate(command["params"]["market_tickers"])]
                seq[1] += len(command["params"]["market_tickers"])
            kalshi.inspect(replies)
        now_ms += 1


def test_a_change_takes_no_longer_when_there_are_many_markets():
    def seconds(count: int) -> float:
        kalshi = opened(count)
        took = []
        for turn in range(5):
            new = names(TICKERS_PER_COMMAND, first=1_000_000 * (turn + 1))
            began = time.process_time()
            kalshi.subscriptions.change(1, new, names(TICKERS_PER_COMMAND, first=turn * TICKERS_PER_COMMAND))
            answer_all(kalshi)
            took.append(time.process_time() - began)
        assert kalshi.channels()[0][2:4] == (count, count)
        return min(took)

    few, many = seconds(2_000), seconds(100_000)
    assert many < 5 * few, f"{1000 * few:.1f} ms with 2,000 markets, {1000 * many:.1f} ms with 100,000"


def test_a_hundred_thousand_markets_take_little_memory():
    tracemalloc.start()
    try:
        kalshi = opened(100_000)
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kalshi.channels()[0][2:4] == (100_000, 100_000)
    assert size < 60_000_000
    assert peak < 90_000_000


def test_where_commands_are_scarce_new_markets_come_before_removals():
    """Markets come and go all the time, and there is room for one command a second: the new ones do not wait."""
    exchange = Exchange({**FOLLOW, "channels": ["trade"]}, per_second=1)
    exchange.change(names(50))
    exchange.settle()
    assert exchange.counts("trade")[:2] == (50, 50)
    for number in range(50, 80):
        exchange.change(names(1, first=number), [f"KX-{number - 50}"])
        exchange.tick(1.2)
        exchange.answer()
        assert exchange.counts("trade")[1] == 50
    exchange.settle()
    assert set(exchange.subscribed("trade")) == {*names(50, first=30)}
