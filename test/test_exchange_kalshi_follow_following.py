"""The following of markets, against the simulated exchange: none is missed, whatever fails."""

from __future__ import annotations

import itertools
import json

import pytest
from follow_runs import NOW_MS, Exchange, Run, following, markets_of

from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.contracts.shard import Shard
from ssmd.exchange.kalshi.follow.following import Subscribed
from ssmd.exchange.kalshi.follow.plan import NEWS_MS
from ssmd.exchange.kalshi.follow.section import read_follow
from ssmd.sim.births import Births

BIRTHS = Births(per_hour=10_000, open_after=60, life=900)
SERIES = "KXSIMBTC"


def wanted(exchange, series=None):
    """Return the markets that are to be followed now."""
    events, markets = exchange.universe.events, exchange.universe.markets
    states = ("initialized", "active", "inactive")
    return {
        ticker
        for ticker, market in markets.items()
        if market.status in states and (series is None or events[market.event].family.ticker == series)
    }


@pytest.mark.parametrize(("value", "series"), [("all", None), ({"series": [SERIES]}, SERIES)])
def test_each_market_is_subscribed_to_within_a_second_of_its_message(value, series):
    exchange = Exchange(BIRTHS)
    run = Run(exchange, value)
    run.listed()
    assert wanted(exchange, series) <= run.confirmed[1]
    first_ms = exchange.now_ms
    run.go_on(120)
    born = {
        ticker: exchange.universe.markets[ticker].created_us // 1000
        for ticker in wanted(exchange, series)
        if exchange.universe.markets[ticker].created_us // 1000 > first_ms
    }
    assert len(born) > 30
    late = [run.subscribed_ms[ticker] - created_ms for ticker, created_ms in born.items()]
    assert max(late) <= 1000
    assert run.following.state().not_subscribed == 0
    busiest = max(sum(0 <= other - at < 1000 for other, _ in run.requests) for at, _ in run.requests)
    assert busiest <= 10


def test_markets_whose_messages_are_lost_are_in_the_list_of_new_ones():
    exchange = Exchange(BIRTHS, lost=1.0)
    run = Run(exchange, "all")
    run.listed()
    run.go_on(120)
    latest_ms = exchange.now_ms - NEWS_MS - 1000
    born = [exchange.universe.markets[ticker] for ticker in wanted(exchange)]
    born = [market for market in born if NOW_MS < market.created_us // 1000 < latest_ms]
    assert len(born) > 100
    assert all(run.subscribed_ms[market.ticker] <= market.open_ts * 1000 for market in born)


@pytest.mark.parametrize("fault", ["rest-html=3", "rest-cut=3", "rest-down=0-20", "rest-late=10"])
def test_a_listing_that_fails_goes_on(fault):
    exchange = Exchange(BIRTHS, fault, lost=0.5)
    run = Run(exchange, {"tickers": ["KXSIM*"]})
    run.listed()
    # There is a list for each state, so one whose state has just changed may be in none of them.
    late_us = (exchange.now_ms - 15_000) * 1000
    missing = {
        ticker
        for ticker in wanted(exchange) - run.confirmed[1]
        if exchange.universe.markets[ticker].updated_us < late_us
    }
    assert not missing
    assert bool(run.errors) is (fault != "rest-late=10")
    run.until(lambda: run.following.state().error is None)


def test_a_pause_is_short_again_when_requests_have_answers():
    """Every fifth answer is cut off: the pauses must not grow from one to the next."""
    exchange = Exchange(Births(per_hour=10_000, open_after=900, life=3600), "rest-cut=5")
    run = Run(exchange, {"series": [SERIES]})
    run.listed()
    longest = 0.0
    begin = exchange.now_ms
    while exchange.now_ms < begin + 600_000:
        run.go_on(1)
        longest = max(longest, run.following.state().pause_seconds)
    assert longest == 1


def test_refusals_are_waited_for():
    exchange = Exchange(BIRTHS, requests_per_second=1)
    run = Run(exchange, "all")
    run.until(lambda: run.following.state().pause_seconds > 0)
    assert run.following.state().error == "Kalshi answers 429, too many requests"
    assert run.following.state().listed is None
    run.listed()
    responses = run.following.state().responses
    assert responses[429] < responses[200]


def test_an_old_event_is_asked_about_and_others_of_other_series_are_not_followed():
    exchange = Exchange(BIRTHS)
    run = Run(exchange, {"series": [SERIES]})
    run.listed()
    run.go_on(60)
    events = [url for _, url in run.requests if "/events/" in url]
    assert events
    assert run.confirmed[1] <= {
        ticker
        for ticker, market in exchange.universe.markets.items()
        if exchange.universe.events[market.event].family.ticker == SERIES
    }


def test_settled_markets_are_removed():
    exchange = Exchange(Births(per_hour=10_000, open_after=5, life=30))
    run = Run(exchange, "all")
    run.listed()
    first = set(run.confirmed[1])
    run.go_on(60 + 300)
    gone = {ticker for ticker in first if exchange.universe.markets[ticker].status == "finalized"}
    assert len(gone) > 50
    assert not gone & run.confirmed[1]


def test_the_shards_have_each_market_once():
    exchange, *others = Exchange(BIRTHS), Exchange(BIRTHS)
    first = Run(exchange, "all", shard=Shard(1, 2))
    second = Run(others[0], "all", shard=Shard(2, 2))
    for run in (first, second):
        run.listed()
        run.go_on((NOW_MS + 60_000 - run.exchange.now_ms) / 1000)
    assert not first.confirmed[1] & second.confirmed[1]
    assert wanted(exchange) <= first.confirmed[1] | second.confirmed[1]


@pytest.mark.parametrize(
    ("value", "unlisted"),
    [
        ({"series": [SERIES]}, ()),
        ({"series": [SERIES, "KXNONE"], "events": ["KXSIM", "KXNO"]}, ("series KXNONE", "event KXNO")),
        ({"tickers": ["KXSIM-A", "KXSIM-Z", "KXSIMB*", "KXNO*"]}, ("ticker KXNO*", "ticker KXSIM-Z")),
        ("all", ()),
    ],
)
def test_names_of_which_no_market_is_listed_are_reported(value, unlisted):
    run = Run(Exchange(BIRTHS), value)
    assert run.following.state().unlisted == ()
    run.listed()
    assert run.following.state().unlisted == unlisted


def test_a_shard_does_not_report_names_whose_markets_are_of_other_shards():
    for number in (1, 2):
        run = Run(Exchange(BIRTHS), {"tickers": ["KXSIM-A"]}, shard=Shard(number, 2))
        run.listed()
        assert run.following.state().unlisted == ()


def test_a_limit_of_markets_is_kept_and_counted():
    run = Run(Exchange(BIRTHS), "all", most=100)
    run.listed()
    state = run.following.state()
    assert len(run.confirmed[1]) == 100
    assert state.listed is not None
    assert state.listed > 200
    assert state.over_limit == state.not_subscribed == state.listed - 100


def test_nothing_is_listed_before_the_life_cycle_messages_are_confirmed():
    listening: list[bool] = []
    subscribed = Subscribed(lambda: bool(listening), lambda number: (), lambda number: 0, {})
    follower, _ = following("all", subscribed=subscribed)
    assert not isinstance(follower.next(NOW_MS), HttpRequest)
    listening.append(True)
    assert isinstance(follower.next(NOW_MS), HttpRequest)


def ask(follower, now_ms):
    """Return the next request and the time at which it is made."""
    for _ in range(10_000):
        turn = follower.next(now_ms)
        if isinstance(turn, HttpRequest):
            return turn.url.partition("/trade-api/v2")[2], now_ms
        now_ms += max(1, int(turn * 1000))
    raise AssertionError("nothing is asked")


def answer(follower, now_ms, document, status=200):
    return follower.answered(HttpAnswer(status, {}, json.dumps(document).encode(), 0.01), now_ms)


def listen(follower, now_ms, *messages):
    for message in messages:
        follower.receive(json.dumps(message).encode())
    return list(follower.tick(now_ms))


def list_nothing(follower, now_ms):
    """Let the exchange list nothing, until a whole listing is complete."""
    while follower.state().last_listed_ms is None:
        _, now_ms = ask(follower, now_ms)
        answer(follower, now_ms, {"markets": [], "cursor": ""})
    return now_ms


def created(ticker, event):
    msg = {"market_ticker": ticker, "event_type": "created", "additional_metadata": {"event_ticker": event}}
    return {"type": "market_lifecycle_v2", "sid": 1, "msg": msg | {"open_ts": NOW_MS // 1000 + 3600}}


def test_an_event_that_is_not_known_yet_is_asked_about_again():
    follower, _ = following({"series": ["KXA-B"]})
    listen(follower, NOW_MS)
    now_ms = list_nothing(follower, NOW_MS)
    assert listen(follower, now_ms, created("KXA-B-26-T1", "KXA-B-26")) == []
    for _ in range(3):
        path, now_ms = ask(follower, now_ms)
        assert path == "/events/KXA-B-26"
        assert not answer(follower, now_ms, {"error": {"code": "not_found"}}, 404)
        assert follower.state().error is None
    path, now_ms = ask(follower, now_ms)
    assert answer(follower, now_ms, {"event": {"event_ticker": "KXA-B-26", "series_ticker": "KXA-B"}})
    assert listen(follower, now_ms) == [(1, ["KXA-B-26-T1"], [])]
    # It is known from now on.
    assert listen(follower, now_ms, created("KXA-B-26-T2", "KXA-B-26")) == [(1, ["KXA-B-26-T2"], [])]


def test_the_message_about_a_new_event_spares_the_question():
    follower, _ = following({"series": ["KXA"]})
    listen(follower, NOW_MS)
    now_ms = list_nothing(follower, NOW_MS)
    event = {"type": "event_lifecycle", "sid": 1, "msg": {"event_ticker": "KXA-26", "series_ticker": "KXA"}}
    assert listen(follower, now_ms, created("KXA-26-T1", "KXA-26"), event) == [(1, ["KXA-26-T1"], [])]
    path, _ = ask(follower, now_ms)
    assert path.startswith("/markets?")


def test_a_market_that_trades_again_is_asked_about():
    follower, _ = following({"tickers": ["KXA-*"]})
    listen(follower, NOW_MS)
    now_ms = list_nothing(follower, NOW_MS)
    msg = {"market_ticker": "KXA-1", "event_type": "activated"}
    assert listen(follower, now_ms, {"type": "market_lifecycle_v2", "sid": 1, "msg": msg}) == []
    path, now_ms = ask(follower, now_ms)
    assert path == "/markets/KXA-1"
    assert answer(follower, now_ms, {"market": {"ticker": "KXA-1", "event_ticker": "KXA", "status": "active"}})
    assert listen(follower, now_ms) == [(1, ["KXA-1"], [])]


def test_a_question_that_is_refused_does_not_stop_the_others():
    follower, _ = following({"series": ["KXA"]})
    listen(follower, NOW_MS)
    now_ms = list_nothing(follower, NOW_MS)
    listen(follower, now_ms, created("KXA-1-T1", "KXA-1"), created("KXA-2-T1", "KXA-2"))
    _, now_ms = ask(follower, now_ms)
    answer(follower, now_ms, {"error": "bad"}, 400)
    assert follower.state().error == "Kalshi answers with the status 400"
    path, now_ms = ask(follower, now_ms)
    assert path == "/events/KXA-2"


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b"\xff", b'{"type":"market_lifecycle_v2","msg":{"market_ticker":5}}', b"[" * 100_000],
)
def test_a_message_of_any_form_does_no_harm(payload):
    follower, markets = following("all")
    follower.receive(payload)
    assert list(follower.tick(NOW_MS)) == []
    assert len(markets) == 0


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b'{"markets":5}', b'{"markets":[{"ticker":1}]}', b"[" * 100_000]
)
def test_an_answer_of_any_form_does_no_harm(body):
    follower, _ = following("all")
    listen(follower, NOW_MS)
    _, now_ms = ask(follower, NOW_MS)
    assert not follower.answered(HttpAnswer(200, {}, body, 0.01), now_ms)
    assert follower.state().error == "Kalshi's answer is not a page of markets"
    follower.failed("the connection is refused", now_ms)
    assert follower.state().error == "the connection is refused"
    assert follower.state().responses == {200: 1, 0: 1}


def test_other_markets_are_followed_from_now_on():
    exchange = Exchange(BIRTHS)
    run = Run(exchange, {"series": [SERIES]})
    run.listed()
    before = set(run.confirmed[1])
    assert isinstance(run.following.next(exchange.now_ms + 60_000), HttpRequest)
    follows = {1: read_follow({"series": ["KXSIMETH"]})}
    run.following.change_to(follows, markets_of(follows), run.subscribed)
    # The answer to the request before is of no use.
    assert not run.following.answered(HttpAnswer(200, {}, b'{"markets":[],"cursor":""}', 0.01), exchange.now_ms)
    run.go_on(0.5)
    assert before <= run.confirmed[1]
    run.listed()
    run.go_on(1)
    assert not before & run.confirmed[1]
    assert wanted(exchange, "KXSIMETH") <= run.confirmed[1]


def test_the_same_markets_are_not_listed_again_when_something_else_changes():
    run = Run(Exchange(BIRTHS), {"series": [SERIES]})
    run.listed()
    follows = {1: read_follow({"series": [SERIES]})}
    run.following.change_to(follows, markets_of(follows), run.subscribed)
    assert run.following.state().last_listed_ms is not None
    assert run.following.state().subscribed == len(run.confirmed[1])


def test_questions_about_single_markets_do_not_keep_lists_from_being_asked_for():
    """There are more questions than requests: a minute is a second, and a part of the messages is lost."""
    exchange = Exchange(Births(per_hour=10_000, open_after=60, life=900, faster=60), requests_per_second=3, lost=0.2)
    run = Run(exchange, "all")
    run.go_on(60)
    assert run.following.state().last_listed_ms is not None
    run.go_on(120)
    asked = sum("/markets/" in url for _, url in run.requests)
    assert asked > 100
    assert asked < len(run.requests) - NEWS_MS // 1000
    listed = [at for at, url in run.requests if "min_created_ts" in url]
    assert all(later - earlier < 2 * NEWS_MS for earlier, later in itertools.pairwise(listed))


def test_a_question_about_a_market_is_over_when_it_is_listed_or_has_ended():
    followed, _ = following("all")

    def receive(kind, ticker):
        message = {"type": "market_lifecycle_v2", "sid": 1, "msg": {"event_type": kind, "market_ticker": ticker}}
        followed.receive(json.dumps(message).encode())

    for ticker in ("KXA-1", "KXA-2", "KXA-3"):
        receive("activated", ticker)
    list(followed.tick(NOW_MS))
    receive("settled", "KXA-3")
    list(followed.tick(NOW_MS + 1))
    row = {"ticker": "KXA-2", "event_ticker": "KXA", "status": "active"}
    urls = []
    for tenth in range(300):
        now_ms = NOW_MS + 100 * tenth
        if isinstance(request := followed.next(now_ms), HttpRequest):
            urls.append(request.url)
            is_page = "?" in request.url
            body = {"markets": [row] if "status=open" in request.url else [], "cursor": ""}
            followed.answered(HttpAnswer(200 if is_page else 404, {}, json.dumps(body).encode(), 0.1), now_ms)
    asked = {url.rpartition("/")[2] for url in urls if "?" not in url}
    assert asked == {"KXA-1"}


def test_a_market_that_has_ended_is_not_followed_when_its_series_is_known_at_last():
    followed, markets = following({"series": ["KXA"]})

    def receive(kind, ticker, **more):
        msg = {"event_type": kind, "market_ticker": ticker, **more}
        followed.receive(json.dumps({"type": "market_lifecycle_v2", "msg": msg}).encode())
        list(followed.tick(NOW_MS))

    for ticker, event in (("KXA-1-1", "KXA-1"), ("KXA-1-2", "KXA-1"), ("KXA-2-1", "KXA-2")):
        receive("created", ticker, open_ts=NOW_MS // 1000 + 60, additional_metadata={"event_ticker": event})
    receive("settled", "KXA-1-1")
    receive("determined", "KXA-2-1")
    asked = []
    for tenth in range(100):
        now_ms = NOW_MS + 100 * tenth
        if isinstance(request := followed.next(now_ms), HttpRequest):
            is_page = "?" in request.url
            asked += [] if is_page else [request.url.rpartition("/")[2]]
            body = {"markets": [], "cursor": ""} if is_page else {"event": {"series_ticker": "KXA"}}
            followed.answered(HttpAnswer(200, {}, json.dumps(body).encode(), 0.1), now_ms)
    assert asked == ["KXA-1"]
    assert [add for _, add, _ in markets.changes()] == [["KXA-1-2"]]
