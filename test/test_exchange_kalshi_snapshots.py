"""Fresh order books on a connection to Kalshi: they are asked for when they must be, and right when they are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kalshi_messages import (
    COUNTS,
    IS_NEXT,
    REPEATS,
    USES_ONE_UP,
    WAYS,
    connection,
    delta,
    error,
    ok,
    snapshot,
    subscribed,
)

from ssmd.contracts.events import Event, Gap, Refused, SnapshotsReceived, SnapshotsRequested
from ssmd.contracts.exchange import Inspection
from ssmd.errors import Disconnected
from ssmd.exchange.kalshi.dialect import Kalshi

MARKETS = ["KX-0", "KX-1", "KX-2"]
BOOKS = {"channels": ["orderbook_delta"], "market_tickers": MARKETS}
DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS + 3_600_000


def opened(markets: list[str] = MARKETS, **policy: Any) -> Kalshi:
    """Return a connection on which all books are known; the last number of its sid is how many there are."""
    kalshi = connection({**BOOKS, "market_tickers": markets}, **policy)
    kalshi.opening("wss://host/ws", NOW_MS)
    kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
    events = kalshi.inspect([snapshot(name, number) for number, name in enumerate(markets, start=1)]).events
    assert events == [SnapshotsReceived(1, "orderbook_delta", len(markets), len(markets))]
    return kalshi


def requests(inspection: Inspection) -> list[tuple[int, list[str]]]:
    """Return the id and the markets of each request."""
    found = []
    for command in map(json.loads, inspection.commands):
        assert command["cmd"] == "update_subscription"
        assert command["params"]["sids"] == [1]
        assert command["params"]["action"] == "get_snapshot"
        found.append((command["id"], command["params"]["market_tickers"]))
    return found


def test_a_gap_asks_for_all_books_at_the_next_tick():
    kalshi = opened()
    assert kalshi.inspect([delta("KX-0", 4), delta("KX-0", 6)]).events == [Gap(1, 5, 6, 1, "orderbook_delta")]
    assert kalshi.channels()[0].books_pending == 3
    turn = kalshi.tick(NOW_MS)
    assert turn.events == [SnapshotsRequested(1, "orderbook_delta", MARKETS, "gap")]
    assert requests(turn) == [(2, MARKETS)]
    found = kalshi.inspect([snapshot(name, 7 + index, id=2) for index, name in enumerate(MARKETS)])
    assert found.events == [SnapshotsReceived(1, "orderbook_delta", 3, 3)]
    assert kalshi.channels()[0].books_pending == 0


def test_a_gap_of_another_subscription_loses_no_book():
    kalshi = opened()
    kalshi.inspect([delta("KX-0", 4, sid=2), delta("KX-0", 6, sid=2)])
    assert kalshi.channels()[0].books_pending == 0
    assert not kalshi.tick(NOW_MS).commands


def test_a_snapshot_that_shows_a_gap_is_followed_by_one_that_was_asked_for():
    kalshi = opened(["KX-0"])
    assert kalshi.inspect([snapshot("KX-0", 7)]).events == [Gap(1, 2, 7, books="orderbook_delta")]
    assert requests(kalshi.tick(NOW_MS)) == [(2, ["KX-0"])]


def test_after_the_request_a_snapshot_that_nobody_asked_for_counts():
    kalshi = opened(["KX-0"])
    kalshi.inspect([delta("KX-0", 7)])
    kalshi.tick(NOW_MS)
    assert kalshi.inspect([snapshot("KX-0", 8)]).events == [SnapshotsReceived(1, "orderbook_delta", 1, 1)]


def test_a_gap_may_end_the_run_instead():
    kalshi = opened(after_gap="end")
    failure = kalshi.inspect([delta("KX-0", 6)]).failure
    assert isinstance(failure, Disconnected)
    assert "a message of orderbook_delta is missing (sid 1: 6 came, not 4)" in str(failure)
    assert connection({"channels": ["trade"]}, after_gap="end").inspect([delta("A", 1), delta("A", 3)]).failure is None


@pytest.mark.parametrize("daily", [True, False])
def test_a_new_day_asks_for_all_books(daily):
    kalshi = opened(daily=daily)
    midnight = (NOW_MS // DAY_MS + 1) * DAY_MS
    assert not kalshi.tick(midnight - 1).commands
    turn = kalshi.tick(midnight)
    assert bool(turn.commands) is daily
    if daily:
        assert turn.events == [SnapshotsRequested(1, "orderbook_delta", MARKETS, "day")]
    assert not kalshi.tick(midnight + 1000).commands
    # A clock that goes back and forth begins no further day.
    assert not kalshi.tick(midnight - 1000).commands
    assert not kalshi.tick(midnight + 2000).commands


def test_snapshots_of_the_day_before_do_not_count_when_the_first_tick_is_after_midnight():
    kalshi = opened()
    assert requests(kalshi.tick((NOW_MS // DAY_MS + 1) * DAY_MS)) == [(2, MARKETS)]


def test_markets_that_are_not_confirmed_have_no_books():
    markets = [f"KX-{number}" for number in range(201)]
    kalshi = connection({**BOOKS, "market_tickers": markets})
    kalshi.inspect([subscribed(1, "orderbook_delta", 1), ok(2, 1, 1, market_tickers=markets[:-1])])
    assert kalshi.channels()[0].books_pending == 200
    found = kalshi.inspect([snapshot(name, number) for number, name in enumerate(markets[:-1], start=2)])
    assert found.events == [SnapshotsReceived(1, "orderbook_delta", 200, 200)]


@pytest.mark.parametrize("lost", [False, True])
def test_a_snapshot_may_come_before_the_confirmation(lost):
    markets = [f"KX-{number}" for number in range(201)]
    kalshi = connection({**BOOKS, "market_tickers": markets})
    kalshi.inspect([snapshot(name, number) for number, name in enumerate(markets[:100], start=1)])
    assert kalshi.inspect([delta("KX-0", 103 if lost else 101)]).events == ([Gap(1, 101, 103)] if lost else [])
    kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
    assert kalshi.channels()[0].books_pending == (200 if lost else 100)
    first = 104 if lost else 102
    rest = [snapshot(name, number) for number, name in enumerate(markets[0 if lost else 100 :], start=first)]
    kalshi.inspect(rest)
    assert list(kalshi.unheard("orderbook_delta")) == []
    assert kalshi.inspect([ok(2, 1, first + len(rest))]).events[1:] == [SnapshotsReceived(1, "orderbook_delta", 201, 1)]


def test_markets_that_are_refused_are_not_waited_for():
    markets = [f"KX-{number}" for number in range(201)]
    kalshi = connection({**BOOKS, "market_tickers": markets})
    kalshi.inspect([subscribed(1, "orderbook_delta", 1)])
    snapshots = [snapshot(name, number) for number, name in enumerate(markets[:200], start=1)]
    assert kalshi.inspect(snapshots).events == []
    [refused, received] = kalshi.inspect([error(26, head={"id": 2})]).events
    assert isinstance(refused, Refused)
    assert received == SnapshotsReceived(1, "orderbook_delta", 200, 1)


def test_a_market_without_an_answer_is_named():
    kalshi = opened()
    kalshi.inspect([delta("KX-0", 6)])
    events: list[Event] = []
    for second in range(95):
        turn = kalshi.tick(NOW_MS + 1000 * second)
        events += turn.events
        for request, markets in requests(turn):
            payloads = [snapshot(name, 0, id=request) for name in markets if name != "KX-1"]
            events += kalshi.inspect(payloads).events if payloads else []
    assert [event.markets for event in events if isinstance(event, SnapshotsRequested)] == [MARKETS, ["KX-1"], ["KX-1"]]
    assert events[-1] == SnapshotsReceived(1, "orderbook_delta", 2, 0, ("KX-1",))
    assert kalshi.channels()[0][7:9] == (0, 1)


# Requests that are refused.


def after_a_request() -> Kalshi:
    kalshi = opened()
    kalshi.inspect([delta("KX-0", 6)])
    assert requests(kalshi.tick(NOW_MS)) == [(2, MARKETS)]
    return kalshi


def after_half_a_minute(kalshi: Kalshi) -> Inspection:
    """Return what is due half a minute after a request; nothing is due earlier."""
    assert not any(kalshi.tick(NOW_MS + 1000 * second).commands for second in range(1, 30))
    return kalshi.tick(NOW_MS + 30_000)


@pytest.mark.parametrize("code", [7, 10, 17, 25])
def test_a_subscription_that_is_over_ends_the_run(code):
    assert isinstance(after_a_request().inspect([error(code, head={"id": 2})]).failure, Disconnected)


@pytest.mark.parametrize("code", [1, 2, 4, 5, 9, 12, 13, 15])
def test_an_exchange_that_serves_no_snapshots_is_reported_once(code):
    kalshi = after_a_request()
    inspection = kalshi.inspect([error(code, head={"id": 2}), error(code, head={"id": 2})])
    assert inspection.failure is None
    [refused] = inspection.events
    assert isinstance(refused, Refused)
    assert (refused.channel, refused.code, refused.place, refused.for_now) == ("orderbook_delta", code, 0, False)
    assert "after_gap: end" in refused.text
    assert kalshi.channels()[0][7:9] == (0, 3)
    assert not any(kalshi.tick(NOW_MS + 1000 * second).commands for second in range(100))


@pytest.mark.parametrize("code", [11, 14, 16, 26, 28, 99])
def test_a_request_that_is_refused_is_made_again_for_fewer_markets(code):
    kalshi = after_a_request()
    inspection = kalshi.inspect([error(code, head={"id": 2}, market_ticker="KX-1")])
    assert inspection.failure is None
    [refused] = inspection.events
    assert isinstance(refused, Refused)
    assert (refused.code, refused.for_now) == (code, True)
    assert requests(after_half_a_minute(kalshi)) == [(3, ["KX-0", "KX-2"])]


def test_a_request_that_takes_too_long_is_made_again():
    kalshi = after_a_request()
    assert kalshi.inspect([error(18, head={"id": 2})]) == kalshi.inspect([error(18, head={"id": 2})])
    assert requests(after_half_a_minute(kalshi)) == [(3, MARKETS)]


def test_a_request_too_many_is_made_again_after_a_pause():
    kalshi = after_a_request()
    inspection = kalshi.inspect([error(27, head={"id": 2})])
    assert inspection.failure is None
    assert [(event.channel, event.for_now) for event in inspection.events if isinstance(event, Refused)] == [
        ("orderbook_delta", True)
    ]
    assert requests(kalshi.tick(NOW_MS + 1000)) == []
    assert requests(kalshi.tick(NOW_MS + 2000)) == [(3, MARKETS)]


# Whatever happens.


class TheExchange:
    """Books that are a number each, and the messages about them. `way`: what number an answer has."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.books = dict.fromkeys(MARKETS, 0)
        self.seq = self.counted = 0
        self.requests: list[tuple[int, list[str]]] = []

    def change(self, market: str) -> bytes:
        self.seq += 1
        self.books[market] += self.seq
        return delta(market, self.seq, n=self.seq)

    def send(self, market: str) -> bytes:
        self.seq += 1
        return snapshot(market, self.seq, n=self.books[market])

    def answers(self) -> list[bytes]:
        """Return the answers to the request that came first."""
        found = []
        request, markets = self.requests.pop(0) if self.requests else (0, [])
        for market in markets:
            self.seq += self.way == USES_ONE_UP
            self.counted += 1
            own = 9_000_000 + self.counted
            numbers = {USES_ONE_UP: self.seq, REPEATS: self.seq, IS_NEXT: self.seq + 1, COUNTS: own}
            found.append(snapshot(market, numbers.get(self.way, 0), id=request, n=self.books[market]))
        return found


class TheReader:
    """What a reader of the day's file makes of it, with the ledger's word for when all books are known."""

    def __init__(self) -> None:
        self.books: dict[str, int] = {}
        self.known: set[str] = set()
        """The markets whose books are right, by the ledger."""

    def read(self, payload: bytes) -> None:
        message = json.loads(payload)
        market, number = message["msg"].get("market_ticker"), message["msg"].get("n")
        if message["type"] == "orderbook_snapshot":
            self.books[market] = number
        elif message["type"] == "orderbook_delta" and market in self.books:
            self.books[market] += number

    def begin(self) -> None:
        self.books.clear()
        self.known.clear()


class Play:
    def __init__(self, way: str) -> None:
        self.exchange, self.reader = TheExchange(way), TheReader()
        self.kalshi = connection(BOOKS)
        self.kalshi.opening("wss://host/ws", NOW_MS)
        self.now_ms = NOW_MS
        self.send([subscribed(1, "orderbook_delta", 1), *map(self.exchange.send, MARKETS)])
        # The first answers, which show what their numbers mean, come without a loss beside them.
        self.midnight()
        for market in MARKETS:
            self.send([self.exchange.change(market)])
        self.send(self.exchange.answers())
        assert self.reader.known == {*MARKETS}

    def send(self, payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            events = self.kalshi.inspect([payload]).events
            if any(isinstance(event, Gap) for event in events):
                self.reader.begin()
            self.reader.read(payload)
            self.take(events)
            for market in self.reader.known:
                assert self.reader.books[market] == self.exchange.books[market]

    def take(self, events: Sequence[Any]) -> None:
        for event in events:
            if isinstance(event, SnapshotsReceived):
                self.reader.known = {*MARKETS}.difference(event.missing)
                assert event.markets == len(self.reader.known)

    def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.now_ms += 1000
            turn = self.kalshi.tick(self.now_ms)
            self.exchange.requests += requests(turn)
            self.take(turn.events)

    def midnight(self) -> None:
        self.now_ms = (self.now_ms // DAY_MS + 1) * DAY_MS - 1000
        self.reader.begin()
        self.tick()

    def lose(self, market: str) -> None:
        """Lose a message; another one shows it."""
        self.exchange.change(market)
        self.send([self.exchange.change("KX-0")])

    def lose_before_answers(self, market: str) -> None:
        """Lose a message, while answers to an earlier request are still on their way."""
        answers = self.exchange.answers() if self.exchange.way != USES_ONE_UP else []
        self.lose(market)
        self.send(answers)


STEPS = ["change", "change", "lose", "unasked", "answers", "late answers", "tick", "wait", "midnight"]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(WAYS),
    st.lists(
        st.tuples(
            st.sampled_from(STEPS),
            st.sampled_from(MARKETS),
        ),
        max_size=40,
    ),
)
def test_the_books_of_a_days_file_are_right_whenever_the_ledger_says_so(way, steps):
    play = Play(way)
    for step, market in steps:
        if step == "change":
            play.send([play.exchange.change(market)])
        elif step == "unasked":
            play.send([play.exchange.send(market)])
        elif step == "answers":
            play.send(play.exchange.answers())
        elif step == "lose":
            play.lose(market)
        elif step == "late answers":
            play.lose_before_answers(market)
        elif step == "midnight":
            play.midnight()
        else:
            play.tick(31 if step == "wait" else 1)
    # After the last fault, all books become known.
    for _ in range(70):
        play.tick()
        while play.exchange.requests:
            play.send(play.exchange.answers())
    assert play.reader.known == {*MARKETS}
