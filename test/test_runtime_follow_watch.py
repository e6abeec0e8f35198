"""What is reported of markets that are followed and not subscribed to."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.contracts.listing import ListingState
from ssmd.runtime.follow_watch import LATE_SECONDS, OLD_SECONDS, FollowWatch
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.status import COLLECTING, INCOMPLETE, Status

CONNECTED_MS = 1_790_000_000_000


class Listing:
    """A listing whose state is set."""

    def __init__(self) -> None:
        self.current = ListingState(None, 0, 0, 0, None, None)

    def next(self, now_ms: int) -> HttpRequest | float:
        return 1.0

    def answered(self, answer: HttpAnswer, now_ms: int) -> bool:
        return False

    def failed(self, reason: str, now_ms: int) -> None:
        pass

    def state(self) -> ListingState:
        return self.current


class Watched:
    def __init__(self) -> None:
        self.status = Status(connected=True, connected_ns=CONNECTED_MS * 1_000_000, channels=[])
        self.listing = Listing()
        self.now_ms = CONNECTED_MS
        self.watch = FollowWatch(self.listing, self.status, lambda: self.now_ms * 1_000_000)

    def after(self, seconds: float, **state: Any) -> list[str]:
        """Return the reasons after a time, in a state that has changed so."""
        self.now_ms += int(1000 * seconds)
        self.listing.current = self.listing.current._replace(**state)
        self.watch.tick()
        return self.status.not_ready()


def test_the_first_listing_may_take_a_minute():
    run = Watched()
    assert run.after(LATE_SECONDS) == []
    [reason] = run.after(1, error="Kalshi answers 429, too many requests")
    assert reason == "the markets to follow are not all listed after 61 s: Kalshi answers 429, too many requests"
    assert run.status.state_since(0)[0] == INCOMPLETE
    assert run.after(1, listed=5, subscribed=5, last_listed_ms=run.now_ms, error=None) == []
    assert run.status.state_since(0)[0] == COLLECTING


def test_after_a_reload_the_first_listing_may_take_a_minute_again(caplog):
    caplog.set_level(logging.INFO)
    run = Watched()
    assert run.after(5, listed=5, subscribed=5, last_listed_ms=run.now_ms) == []
    run.now_ms += 3_600_000
    run.status.reconfigured_ns = run.now_ms * 1_000_000
    assert run.after(LATE_SECONDS, listed=None, last_listed_ms=None) == []
    assert "after 61 s" in run.after(1)[0]
    assert run.after(1, listed=6, subscribed=6, last_listed_ms=run.now_ms) == []
    assert [record.markets for record in caplog.records if record.message == "markets listed"] == [5, 6]


def test_nothing_is_reported_when_nothing_is_followed_any_more():
    run = Watched()
    assert run.after(LATE_SECONDS + 1) != []
    assert run.after(1, is_over=True) == []
    assert run.status.listing is None


def test_an_old_listing_is_reported():
    run = Watched()
    assert run.after(0, listed=5, subscribed=5, last_listed_ms=run.now_ms) == []
    assert run.after(OLD_SECONDS) == []
    assert run.after(1) == ["the markets to follow were last listed 1801 s ago"]


def test_a_market_that_waits_for_long_is_reported_and_many_that_wait_for_a_moment_are_not(caplog):
    caplog.set_level(logging.INFO)
    run = Watched()
    run.after(0, listed=5, subscribed=5, last_listed_ms=run.now_ms)
    for _ in range(100):
        assert run.after(1, not_subscribed=3, waiting_since_ms=run.now_ms) == []
    assert run.after(LATE_SECONDS - 1) == []
    expected = ["3 markets to follow are not subscribed, the first for 61 s"]
    assert run.after(1) == expected
    assert run.after(0) == expected
    assert run.after(1, not_subscribed=0, waiting_since_ms=None) == []
    events = [record.message for record in caplog.records]
    assert events == [
        "markets listed", "markets to follow are not subscribed", "the markets to follow are subscribed again"
    ]


def test_markets_over_a_limit_are_reported_at_once_and_logged_when_there_are_many_more(caplog):
    run = Watched()
    run.after(0, listed=5, subscribed=5, last_listed_ms=run.now_ms)
    expected = ["2 markets to follow are left out because of a limit"]
    assert run.after(1, not_subscribed=2, over_limit=2) == expected
    for count in range(2, 10):
        run.after(1, not_subscribed=count, over_limit=count)
    logged = [record for record in caplog.records if record.message == "more markets to follow than a limit allows"]
    assert [vars(record)["left_out"] for record in logged] == [2, 5]


def test_a_listing_without_a_market_to_follow_is_logged(caplog):
    run = Watched()
    assert run.after(1, listed=0, last_listed_ms=run.now_ms) == []
    run.after(1)
    assert [record.message for record in caplog.records] == ["the exchange lists no market that is to be followed"]


def test_names_without_a_market_are_logged_when_they_change_and_noted(caplog):
    """Also those of a changed `follow`, whose listing takes less than a second."""
    run = Watched()
    assert run.after(1, listed=5, last_listed_ms=run.now_ms, unlisted=("series KXNO",)) == []
    run.after(1)
    assert run.status.notes() == ["names in `follow` of which the exchange lists no market: 1"]
    run.after(1, unlisted=("event KXNO-1", "ticker KXN-*"))
    run.after(1, unlisted=())
    assert run.status.notes() == []
    logged = [record for record in caplog.records if record.message == "the exchange lists no market of these names"]
    shown = [(vars(record)["count"], vars(record)["names"]) for record in logged]
    assert shown == [(1, "series KXNO"), (2, "event KXNO-1, ticker KXN-*")]


def test_nothing_is_reported_before_the_connection():
    run = Watched()
    run.status.connected = False
    run.after(1000)
    assert run.status.listing is None
    assert run.status.not_followed == ()


@pytest.mark.parametrize("is_followed", [False, True])
def test_there_are_metrics_where_markets_are_followed(is_followed):
    run, registry = Watched(), CollectorRegistry()
    Metrics(registry, "a", run.status)
    if is_followed:
        run.after(1, subscribed=7, not_subscribed=2, over_limit=1, responses={200: 3, 0: 1}, pause_seconds=4)
    text = generate_latest(registry).decode()
    assert ("ssmd_followed" in text) is is_followed
    if is_followed:
        for line in (
            "ssmd_followed_subscribed_markets{X} 7.0",
            "ssmd_followed_unsubscribed_markets{X} 2.0",
            "ssmd_followed_over_limit_markets{X} 1.0",
            "ssmd_followed_waiting_seconds{X} 0.0",
            "ssmd_listing_pause_seconds{X} 4.0",
            'ssmd_listing_requests_total{X,status="200"} 3.0',
            'ssmd_listing_requests_total{X,status="none"} 1.0',
        ):
            assert line.replace("X", 'feed="a",shard=""') in text
        # What is not known yet has no series.
        assert "ssmd_followed_markets{" not in text
        assert "ssmd_last_listing_timestamp{" not in text
