"""The REST interface of the simulated Kalshi, over real HTTP: what it lists, what it refuses, and how it fails."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import gevent
import pytest
from patience import PATIENCE
from sim_client import PATH, Client, headers, served

from ssmd.sim.births import Births
from ssmd.sim.faults import Faults
from ssmd.sim.limits import Limits
from ssmd.sim.server import Simulator

REST = "/trade-api/v2"
NO_LIMIT = Limits(requests_per_second=1_000_000)
MANY = Births(per_hour=2000, open_after=60, life=900)
"""At any time about 30 markets that are not open yet, 500 open, and 2000 settled."""


class Rest:
    """A client that keeps its connection open."""

    def __init__(self, simulator: Simulator) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=PATIENCE)

    def ask(self, path: str, signed: dict[str, str] | None = None, **params: Any) -> tuple[int, Any]:
        query = f"?{urlencode(params)}" if params else ""
        self.http.request("GET", f"{REST}{path}{query}", headers=signed or {})
        response = self.http.getresponse()
        body = response.read()
        is_json = response.getheader("Content-Type") == "application/json"
        return response.status, json.loads(body) if is_json else body

    def get(self, path: str, **params: Any) -> Any:
        status, document = self.ask(path, **params)
        assert status == 200, document
        return document

    def pages(self, path: str, **params: Any) -> Iterator[list[dict[str, Any]]]:
        cursor = ""
        while True:
            document = self.get(path, cursor=cursor, **params)
            yield document[path.removeprefix("/")]
            if not (cursor := document["cursor"]):
                return

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        return [each for page in self.pages(path, **params) for each in page]


@contextmanager
def asked(*faults: str, **settings: Any) -> Iterator[tuple[Simulator, Rest]]:
    every = {"births": MANY, "limits": NO_LIMIT, "faults": Faults.parse(faults)} | settings
    with served(**every) as simulator:
        rest = Rest(simulator)
        yield simulator, rest
        rest.http.close()


def stopped_clock() -> float:
    return 1_790_000_000.5


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_pages_go_from_the_newest_to_the_oldest_and_miss_nothing() -> None:
    with asked(clock=stopped_clock) as (simulator, rest):
        pages = list(rest.pages("/markets", limit=1000))
        rows = [row for page in pages for row in page]
        assert [len(page) for page in pages[:-1]] == [1000] * (len(pages) - 1)
        created = [seconds(row["created_time"]) for row in rows]
        assert created == sorted(created, reverse=True)
        assert len({row["ticker"] for row in rows}) == len(rows) > 2500
        assert rest.all("/markets", limit=7, status="unopened") == [r for r in rows if r["status"] == "initialized"]
        assert simulator.rest_endpoint == f"http://127.0.0.1:{simulator.port}{REST}"


def test_what_is_created_while_pages_are_read_is_missed_and_found_by_its_time() -> None:
    now = [1_790_000_000.0]
    with asked(clock=lambda: now[0]) as (_, rest):
        first = rest.get("/markets", limit=1000)
        now[0] += 30
        second = rest.get("/markets", limit=1000, cursor=first["cursor"])
        newest = {row["ticker"] for row in rest.all("/markets", min_created_ts=1_790_000_000, limit=1000)}
        assert len(newest) > 10
        assert not newest & {row["ticker"] for row in first["markets"] + second["markets"]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("unopened", {"initialized"}),
        ("open", {"active"}),
        ("paused", {"inactive"}),
        ("closed", {"closed", "determined"}),
        ("settled", {"finalized"}),
    ],
)
def test_each_status_has_words_of_its_own(status: str, words: set[str]) -> None:
    with asked(clock=stopped_clock) as (_, rest):
        rows = rest.all("/markets", status=status, limit=1000)
        assert {row["status"] for row in rows} == words
        everything = rest.all("/markets", limit=1000)
        assert len(rows) == sum(row["status"] in words for row in everything)
        if status == "closed":
            closing = [row["close_time"] for row in rows]
            assert closing == sorted(closing, reverse=True)


def test_filters_by_name() -> None:
    with asked(clock=stopped_clock) as (_, rest):
        everything = rest.all("/markets", limit=1000)
        some = [row["ticker"] for row in everything[10:900:100]]
        assert [row["ticker"] for row in rest.all("/markets", tickers=",".join(reversed(some)), limit=3)] == some
        events = {event["event_ticker"]: event["series_ticker"] for event in rest.all("/events")}
        assert {row["event_ticker"] for row in everything} == set(events)
        for series in ("KXSIM", "KXSIMWINS-NYM"):
            expected = [row for row in everything if events[row["event_ticker"]] == series]
            assert rest.all("/markets", series_ticker=series, limit=50) == expected != []
        one = everything[20]["event_ticker"]
        assert rest.all("/markets", event_ticker=one) == [row for row in everything if row["event_ticker"] == one]
        assert rest.all("/markets", series_ticker="KXNONE") == rest.all("/markets", event_ticker="KXNONE") == []
        assert rest.all("/markets", mve_filter="only") == []
        assert len(rest.get("/markets", mve_filter="exclude")["markets"]) == 100


def test_filters_by_time() -> None:
    with asked(clock=stopped_clock) as (_, rest):
        everything = rest.all("/markets", limit=1000)
        now = int(stopped_clock())

        def expected(field: str, first: int, last: int = 2**40) -> set[str]:
            return {row["ticker"] for row in everything if field in row and first <= seconds(row[field]) <= last}

        def found(**params: Any) -> set[str]:
            rows = [row["ticker"] for row in rest.all("/markets", limit=40, **params)]
            assert len(rows) == len(set(rows))
            return set(rows)

        created = found(min_created_ts=now - 500, max_created_ts=now - 100)
        assert created == expected("created_time", now - 500, now - 100) != set()
        closing = found(min_close_ts=now - 50, max_close_ts=now + 50)
        assert closing == expected("close_time", now - 50, now + 50) != set()
        assert found(min_settled_ts=now - 300) == expected("settlement_ts", now - 300) != set()
        updated = found(min_updated_ts=now - 20)
        assert updated == expected("updated_time", now - 20) != set()
        assert found(min_updated_ts=now - 20, series_ticker="KXSIMBTC", mve_filter="exclude") < updated


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/markets", {"limit": 1001}),
        ("/markets", {"limit": "many"}),
        ("/markets", {"limit": -1}),
        ("/events", {"limit": 201}),
        ("/markets", {"status": "active"}),
        ("/markets", {"status": "open,closed"}),
        ("/events", {"status": "paused"}),
        ("/markets", {"min_created_ts": "yesterday"}),
        ("/markets", {"min_created_ts": 1, "status": "closed"}),
        ("/markets", {"max_close_ts": 1, "status": "open"}),
        ("/markets", {"min_settled_ts": 1, "status": "closed"}),
        ("/markets", {"min_updated_ts": 1, "status": "open"}),
        ("/markets", {"min_created_ts": 1, "min_close_ts": 1}),
        ("/markets", {"min_updated_ts": 1, "event_ticker": "KXSIM"}),
        ("/markets", {"min_updated_ts": 1, "series_ticker": "KXSIM"}),
    ],
)
def test_what_excludes_each_other_gets_400(path: str, params: dict[str, Any]) -> None:
    with asked() as (_, rest):
        status, document = rest.ask(path, **params)
        assert (status, document["error"]["code"]) == (400, "bad_request")
        assert rest.get("/exchange/status") == {"exchange_active": True, "trading_active": True}


@pytest.mark.parametrize("cursor", ["garbage", "Z2FyYmFnZQ==", "////", "x/y"])
def test_a_cursor_that_is_none_is_answered_with_the_first_page(cursor: str) -> None:
    with asked(clock=stopped_clock) as (_, rest):
        assert rest.get("/markets", cursor=cursor, limit=3) == rest.get("/markets", limit=3)


def test_one_market_one_event_one_series() -> None:
    with asked(clock=stopped_clock) as (_, rest):
        row = rest.get("/markets", limit=1)["markets"][0]
        assert "series_ticker" not in row
        assert "market_id" not in row
        assert rest.get(f"/markets/{row['ticker']}") == {"market": row}
        event = rest.get(f"/events/{row['event_ticker']}")
        assert row in event["markets"]
        nested = rest.get(f"/events/{row['event_ticker']}", with_nested_markets="true")
        assert nested == {"event": event["event"] | {"markets": event["markets"]}}
        assert nested["event"] == rest.get("/events", limit=1, with_nested_markets="true")["events"][0]
        series = rest.get(f"/series/{event['event']['series_ticker']}")["series"]
        assert series in rest.get("/series")["series"]
        assert {rest.ask(path)[0] for path in ("/markets/X", "/events/X", "/series/X", "/elsewhere")} == {404}


def test_the_listing_and_the_connections_have_the_same_markets() -> None:
    with asked(births=Births(per_hour=20_000, faster=10)) as (simulator, rest), Client(simulator) as client:
        client.subscribe("market_lifecycle_v2")
        created: list[dict[str, Any]] = []
        while len(created) < 20:
            msg = client.message()["msg"]
            if msg.get("event_type") == "created":
                created.append(msg)
        for msg in created:
            row = rest.get(f"/markets/{msg['market_ticker']}")["market"]
            assert seconds(row["open_time"]) == msg["open_ts"]
            assert row["event_ticker"] == msg["additional_metadata"]["event_ticker"]


def test_a_wrong_signature_is_refused_and_none_is_needed() -> None:
    with asked() as (_, rest):
        assert rest.ask("/markets", headers(path=f"{REST}/markets"), limit=1)[0] == 200
        assert rest.ask("/markets", headers(path=PATH), limit=1)[0] == 401
        assert rest.ask("/markets", {"KALSHI-ACCESS-KEY": "x"})[0] == 401
        assert rest.ask("/markets", limit=1)[0] == 200


def test_more_requests_than_allowed_get_429_without_retry_after() -> None:
    now = [1_790_000_000.0]
    with asked(limits=Limits(requests_per_second=5), clock=lambda: now[0]) as (_, rest):
        assert [rest.ask("/exchange/status")[0] for _ in range(7)] == [200] * 5 + [429] * 2
        now[0] += 0.25
        assert [rest.ask("/exchange/status")[0] for _ in range(2)] == [200, 429]
        rest.http.request("GET", f"{REST}/exchange/status")
        response = rest.http.getresponse()
        assert response.read() == b'{"error":"too many requests"}'
        assert response.getheader("Retry-After") is None


def test_only_get_is_served() -> None:
    with asked() as (_, rest):
        rest.http.request("POST", f"{REST}/markets", body=b"x")
        assert rest.http.getresponse().status == 405


def test_it_may_be_down_for_some_time() -> None:
    now = [1_790_000_000.0]
    with asked("rest-down=10-40", clock=lambda: now[0]) as (_, rest):
        found = []
        for now[0] in (1_790_000_000.0, 1_790_000_010.0, 1_790_000_039.0, 1_790_000_040.0):
            found.append(rest.ask("/exchange/status")[0])
        assert found == [200, 503, 503, 200]
    with asked("rest-down") as (_, rest):
        assert rest.ask("/exchange/status")[0] == 503


def test_it_may_be_slow() -> None:
    with asked("rest-slow=0.3") as (_, rest):
        start = time.monotonic()
        rest.get("/exchange/status")
        assert time.monotonic() - start > 0.28


def test_an_answer_may_be_cut_off() -> None:
    with asked("rest-cut=2") as (_, rest):
        rest.get("/markets")
        with pytest.raises(http.client.IncompleteRead):
            rest.get("/markets")
        rest.http.close()
        rest.get("/markets")


def test_an_answer_may_be_a_page_for_people() -> None:
    with asked("rest-html=2") as (_, rest):
        rest.get("/markets")
        status, body = rest.ask("/markets")
        assert (status, body[:15]) == (200, b"<!DOCTYPE html>")


def test_a_new_market_may_be_listed_late() -> None:
    now = [1_790_000_000.0]
    with asked("rest-late=5", clock=lambda: now[0]) as (_, rest), asked(clock=lambda: now[0]) as (_, prompt):
        new = prompt.get("/markets", limit=1)["markets"][0]
        now[0] = seconds(new["created_time"]) + 4.9
        assert rest.ask(f"/markets/{new['ticker']}")[0] == 404
        assert new["ticker"] not in {row["ticker"] for row in rest.all("/markets", limit=1000)}
        now[0] += 0.2
        assert rest.get(f"/markets/{new['ticker']}")["market"]["ticker"] == new["ticker"]
        assert new["ticker"] in {row["ticker"] for row in rest.all("/markets", limit=1000)}


def test_a_connection_without_a_request_does_not_hold_up_the_end() -> None:
    with asked() as (simulator, rest):
        rest.get("/exchange/status")
        start = time.monotonic()
        gevent.spawn(simulator.stop).join(5)
        assert time.monotonic() - start < 1


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    """The kernel of the client acknowledges the head of a later answer after 40 ms."""
    with asked() as (_, rest):
        start = time.monotonic()
        for _ in range(50):
            rest.get("/exchange/status")
        assert time.monotonic() - start < 50 * 0.04 - 0.2
