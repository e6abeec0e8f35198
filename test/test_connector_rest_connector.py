"""REST feeds, as real runs of `ssmd run` against a real HTTP server."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from exchange_server import Peer
from gevent.lock import BoundedSemaphore
from patience import PATIENCE
from process import KEYS, ROOT, Collector, Probed, ssmd
from rest_site import Ask, Site, reply, site
from test_never_silent import entries, eventually

from ssmd.connector.rest.config import RestConfig
from ssmd.connector.rest.connector import RestConnector
from ssmd.connector.rest.dialect import LOSS_NOTE, RestExchange
from ssmd.connector.rest.poller import LATE_SECONDS, Deal, Limits, Poller
from ssmd.errors import ConnectError
from ssmd.exchange.kalshi.signing import read_private_key
from ssmd.pace import Pace

pytestmark = pytest.mark.one_day

CANARY = "canary-0123456789abcdef"
GENERIC_KEYS: dict[str, Any] = {"keys": {"test": {"type": "api_key", "fields": ["token"], "source": "env:TEST_TOKEN"}}}


@contextmanager
def collecting(
    folder: Path,
    made: Site,
    *requests: dict[str, Any],
    exchange: str = "generic",
    base: str = "",
    version: str = "",
    prefix: Any = (),
    **environment: Any,
) -> Iterator[Collector]:
    """A collector that has started, of these requests to a site."""
    fields = {"subscribe": {"requests": list(requests)}} | environment
    with Collector(
        folder,
        f"'{made.endpoint}{base}'",
        exchange=exchange,
        kind="rest",
        version=version,
        environment="".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items()),
        variables={"TEST_TOKEN": CANARY},
        prefix=prefix,
    ) as collector:
        collector.start_up()
        yield collector


def of_test(collector: Collector, event: str) -> list[dict[str, Any]]:
    return entries(collector, event)


def metric(collector: Collector, name: str) -> float:
    """Return the value of a metric without further labels; 0 when it has no series."""
    found = re.search(rf"^{name}{{[^}}]*}} (.+)$", collector.get("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0.0


def warned(collector: Collector) -> list[str]:
    return [event["reason"] for event in collector.events if event["event"].startswith("a request has failed; it is")]


def test_each_answer_is_a_line_and_the_ledger_says_what_was_asked(tmp_path: Path) -> None:
    numbers = iter(range(1000))
    with site({"/v1/markets": lambda ask: reply(json.dumps({"n": next(numbers)}), ETag="x")}) as made:
        request = {"path": "/markets", "params": {"status": "open", "limit": 3, "all": True}, "every": "100ms"}
        with collecting(tmp_path, made, request, base="/v1/") as run:
            run.wait_for("connected")
            eventually(lambda: len(run.lines()) >= 3)
            assert run.get("/ready")[0] == 200
            assert json.loads(run.get("/status")[1])["notes"] == [LOSS_NOTE]
            assert run.end() == 0
        assert any(event["event"] == LOSS_NOTE for event in run.events)
        lines, responses = run.payloads(), of_test(run, "response")
    assert [json.loads(line)["n"] for line in lines] == list(range(len(lines)))
    assert made.asked[0].params == {"status": "open", "limit": "3", "all": "true"}
    assert [entry["line"] for entry in responses] == list(range(len(lines)))
    first = responses[0]
    assert first["url"] == f"{made.endpoint}/v1/markets?status=open&limit=3&all=true"
    assert (first["status"], first["etag"]) == (200, "x")
    assert 0 < first["seconds"] < 20
    gaps = [later.at - earlier.at for earlier, later in zip(made.asked, made.asked[1:], strict=False)]
    assert sum(gaps) / len(gaps) > 0.09
    verified = ssmd("verify", run.data)
    assert (verified.returncode, "ok" in verified.stdout) == (0, True), verified.stdout


def test_a_request_that_was_never_answered_is_missing_until_it_is(tmp_path: Path) -> None:
    is_good = False

    def late(ask: Ask) -> bytes:
        return reply() if is_good else reply("busy", "503 Service Unavailable")

    with site({"/good": reply(), "/late": late}) as made:
        requests = {"path": "/good", "every": "100ms"}, {"path": "/late", "every": "100ms"}
        with collecting(tmp_path, made, *requests) as run:
            run.wait_for("connected")
            eventually(lambda: run.get("/ready")[0] == 503)
            status = json.loads(run.get("/status")[1])
            assert status["state"] == "incomplete"
            assert re.fullmatch(r"/late: no good answer for \d+ s", "".join(status["missing"]))
            is_good = True
            eventually(lambda: run.get("/ready")[0] == 200)
            assert run.end() == 0


def test_a_request_that_was_answered_is_missing_after_a_minute_of_failures() -> None:
    answers = iter([reply()])
    subscribe = {"requests": [{"path": "/a", "every": "100ms"}]}
    exchange = RestExchange(None, subscribe, None)
    deal = Deal(*[lambda *given: None] * 4)
    with site({"/a": lambda ask: next(answers, reply("", "500 Internal Server Error"))}) as made:
        limits = Limits(5.0, 1 << 20, Pace(None), BoundedSemaphore(1), direct=True)
        poller = Poller(exchange.requests[0], made.endpoint, exchange, limits, deal)
        greenlet = gevent.spawn(poller.run)
        eventually(lambda: poller.error is not None)
        began = time.monotonic() - poller.failing_seconds(time.monotonic())
        assert poller.missing(began + LATE_SECONDS - 0.1) is None
        assert poller.missing(began + LATE_SECONDS + 0.1) == "/a: no good answer for 60 s"
        poller.close()
        greenlet.kill()


def test_cursors_are_followed_page_by_page(tmp_path: Path) -> None:
    def page(ask: Ask) -> bytes:
        number = int(ask.params.get("cursor", "a b/0")[4:])
        return reply(json.dumps({"page": number, "meta": {"next": f"a b/{number + 1}" if number < 2 else ""}}))

    with site({"/markets": page}) as made:
        request = {"path": "/markets", "every": "1h", "next": {"param": "cursor", "from": "meta.next"}}
        with collecting(tmp_path, made, request | {"params": {"limit": 2}}) as run:
            eventually(lambda: len(run.lines()) == 3)
            gevent.sleep(0.3)
            assert run.end() == 0
    assert [json.loads(line)["page"] for line in run.payloads()] == [0, 1, 2]
    assert [ask.params for ask in made.asked] == [
        {"limit": "2"}, {"limit": "2", "cursor": "a b/1"}, {"limit": "2", "cursor": "a b/2"}
    ]


def test_a_cursor_that_leads_to_the_same_page_ends_the_listing(tmp_path: Path) -> None:
    with site({"/markets": reply('{"cursor":"x"}')}) as made:
        request = {"path": "/markets", "every": "1h", "next": {"param": "cursor", "from": "cursor"}}
        with collecting(tmp_path, made, request) as run:
            eventually(lambda: len(run.lines()) == 2)
            gevent.sleep(0.3)
            assert run.end() == 0
    assert len(made.asked) == len(run.lines()) == 2
    [warning] = [event for event in run.events if event["event"] == "a listing ends early"]
    assert warning["reason"] == "the cursor at `cursor` leads to the same page again"


def test_what_a_server_says_of_an_answer_may_be_nonsense(tmp_path: Path) -> None:
    """Half a surrogate pair as a cursor, and an ETag that no request may have: the request goes on being made."""
    numbers = iter(range(1000))

    def nonsense(ask: Ask) -> bytes:
        return reply(json.dumps({"n": next(numbers), "cursor": "\ud800"}), ETag='"\u00e9"')

    with site({"/m": nonsense}) as made:
        request = {"path": "/m", "every": "100ms", "keep": "changed", "next": {"param": "cursor", "from": "cursor"}}
        with collecting(tmp_path, made, request) as run:
            eventually(lambda: len(run.lines()) >= 3)
            assert run.end() == 0
    assert all(ask.params == {} and "if-none-match" not in ask.headers for ask in made.asked)
    [warning] = [event["reason"] for event in run.events if event["event"] == "a listing ends early"]
    assert warning == "the cursor at `cursor` cannot be in a URL"
    assert ssmd("verify", run.data).returncode == 0


def test_unchanged_answers_are_counted_and_not_kept(tmp_path: Path) -> None:
    """By their body, and where the server allows it without one."""
    numbers = iter(range(10_000))

    def conditional(ask: Ask) -> bytes:
        is_known = ask.headers.get("if-none-match") == '"e"'
        return reply(b"", "304 Not Modified") if is_known else reply('{"b":1}', ETag='"e"')

    answers: dict[str, Any] = {"/same": reply('{"a":1}'), "/conditional": conditional}
    answers["/other"] = lambda ask: reply(str(next(numbers)))
    with site(answers) as made:
        requests = [{"path": path, "every": "100ms", "keep": "changed"} for path in answers]
        with collecting(tmp_path, made, *requests) as run:
            eventually(lambda: metric(run, "ssmd_unchanged_responses_total") > 5)
            eventually(lambda: made.count("/same") > 3 and made.count("/conditional") > 3 and made.count("/other") > 3)
            assert run.end() == 0
    lines = [json.loads(line) for line in run.payloads()]
    assert lines.count({"a": 1}) == lines.count({"b": 1}) == 1
    assert len([line for line in lines if isinstance(line, int)]) > 2
    assert [ask.headers.get("if-none-match") for ask in made.asked if ask.path == "/conditional"][1] == '"e"'
    assert not any("if-none-match" in ask.headers for ask in made.asked if ask.path == "/same")


def test_without_keep_changed_every_answer_is_kept_and_no_header_asks_for_less(tmp_path: Path) -> None:
    with (
        site({"/same": reply('{"a":1}', ETag='"e"')}) as made,
        collecting(tmp_path, made, {"path": "/same", "every": "100ms"}) as run,
    ):
        eventually(lambda: len(run.lines()) > 2)
        assert metric(run, "ssmd_unchanged_responses_total") == 0
        assert run.end() == 0
    assert not any("if-none-match" in ask.headers for ask in made.asked)


def test_the_requests_keep_the_pace_of_the_feed(tmp_path: Path) -> None:
    with site({"/a": reply(), "/b": reply()}) as made:
        requests = [{"path": path, "every": "100ms"} for path in ("/a", "/b")]
        with collecting(tmp_path, made, *requests, version="  rate_limit_per_second: 4\n") as run:
            eventually(lambda: len(made.asked) >= 14)
            assert run.end() == 0
    span = made.asked[13].at - made.asked[0].at
    assert span >= 3  # Never more than four in a second: the fourteenth comes in the fourth second.
    assert min(made.count("/a"), made.count("/b")) >= 5, "they take turns"


def test_a_slow_request_delays_no_other(tmp_path: Path) -> None:
    def slow(ask: Ask) -> Callable[[Peer], Any]:
        return lambda peer: peer.drained()

    with site({"/slow": slow, "/fast": reply()}) as made:
        requests = [{"path": "/slow", "every": "1s"}, {"path": "/fast", "every": "100ms"}]
        with collecting(tmp_path, made, *requests) as run:
            eventually(lambda: made.count("/fast") > 10)
            assert made.count("/slow") == 1
            began = time.monotonic()
            assert run.end() == 0, "and SIGTERM ends it during a request"
            assert time.monotonic() - began < 15
    assert warned(run) == []


DRIP = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"


def dripping(peer: Peer) -> None:
    peer.send(DRIP)
    while True:
        peer.send(b" ")
        gevent.sleep(0.05)


def flooding(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        peer.send(b"x" * 65536)


TOO_LONG = "its answer is longer than 1,000,000 bytes"
FAULTS: dict[str, tuple[Any, str]] = {
    "drips": (dripping, "its answer did not end within 1 s"),
    "never answers": (lambda peer: peer.drained(), "no answer within 1 s"),
    "hangs up": (lambda peer: None, "it hung up without an answer"),
    "lies about its length": (lambda peer: peer.send(reply("{}")[:-1]), "its answer is cut off after 1 of 2 bytes"),
    "says 1 GB": (b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", TOO_LONG),
    "sends 1 GB": (flooding, TOO_LONG),
    "redirects": (
        reply(b"", "302 Found", Location="http://127.0.0.1:9/elsewhere?key=1"),
        "it redirects to http://127.0.0.1:9/elsewhere (302), which is never followed; name the final address",
    ),
    "429": (reply('{"error":"too many requests"}', "429 Too Many Requests"), "it answered 429 Too Many Requests"),
    "500": (reply("<html>oh</html>", "500 Internal Server Error"), "it answered 500 Internal Server Error: <html>oh</"),
    "404": (reply("gone", "404 Not Found"), "it answered 404 Not Found: gone"),
    "304": (reply(b"", "304 Not Modified"), "it answered 304 Not Modified"),
    "no HTTP": (b"220 mail.example\r\n\r\n", "it does not answer in HTTP"),
}
SHORT = "  request_timeout_seconds: 1\n  max_message_bytes: 1000000\n"


@pytest.mark.parametrize(("answer", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_logged_and_ends_the_run_within_its_deadline(tmp_path: Path, answer: Any, expected: str) -> None:
    """With 75 after `data_timeout_seconds`; the other request goes on until then."""
    bad = {"fails": False}

    def changing(ask: Ask) -> Any:
        return answer if bad["fails"] else reply('{"good":1}')

    with site({"/bad": changing, "/good": reply('{"good":2}')}) as made:
        requests = [{"path": "/bad", "every": "200ms"}, {"path": "/good", "every": "200ms"}]
        with collecting(tmp_path, made, *requests, version=SHORT, data_timeout_seconds=4) as run:
            eventually(lambda: made.count("/bad"))
            bad["fails"] = True
            assert run.wait(PATIENCE) == 75
    [ended] = [event for event in run.events if event["event"] == "stopped"]
    assert ended["reason"].startswith("/bad has failed for 4 s (data_timeout_seconds): no usable answer from http://127")
    assert expected in ended["reason"]
    assert expected in warned(run)[0]
    assert {json.loads(line)["good"] for line in run.payloads()} == {1, 2}
    assert ssmd("verify", run.data).returncode == 0


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_request_that_fails_is_made_again_when_the_server_allows_it(tmp_path: Path, status: str) -> None:
    answers = iter([reply("wait", status, Retry_After="2")])
    with (
        site({"/a": lambda ask: next(answers, None) or reply('{"a":1}')}) as made,
        collecting(tmp_path, made, {"path": "/a", "every": "1h"}) as run,
    ):
        run.wait_for("connected")
        eventually(run.lines)
        assert run.end() == 0
    assert made.asked[1].at - made.asked[0].at >= 2
    assert len(warned(run)) == 1
    assert any(event["event"] == "a request that has failed is answered again" for event in run.events)


@pytest.mark.parametrize(("status", "others_wait"), [("429 Too Many Requests", True), ("503 No", False)])
def test_after_429_no_request_of_the_feed_is_made_for_a_while(tmp_path: Path, status: str, others_wait: bool) -> None:
    refusals = iter([reply("wait", status, Retry_After="2")])
    answers: dict[str, Any] = {"/b": reply(), "/a": lambda ask: next(refusals, None) or reply()}
    with (
        site(answers) as made,
        collecting(tmp_path, made, *({"path": path, "every": "100ms"} for path in answers)) as run,
    ):
        eventually(lambda: made.count("/a") > 1)
        assert run.end() == 0
    first, second, *_ = (ask.at for ask in made.asked if ask.path == "/a")
    assert second - first >= 2
    # One may have been on its way when the refusal came.
    meanwhile = [ask for ask in made.asked if ask.path == "/b" and first < ask.at < first + 2]
    assert (len(meanwhile) <= 1) == others_wait


@pytest.mark.parametrize(
    ("status", "again"), [("404 Not Found", [None, "2", None, "2"]), ("500 No", [None, "2", "2", None])]
)
def test_after_a_refusal_a_listing_begins_again_and_after_a_failure_it_goes_on(
    tmp_path: Path, status: str, again: list[str | None]
) -> None:
    failures = iter([reply("no", status)])

    def page(ask: Ask) -> bytes:
        if "cursor" in ask.params:
            return next(failures, None) or reply('{"cursor":""}')
        return reply('{"cursor":"2"}')

    request = {"path": "/m", "every": "100ms", "next": {"param": "cursor", "from": "cursor"}}
    with site({"/m": page}) as made, collecting(tmp_path, made, request) as run:
        eventually(lambda: len(made.asked) >= 4)
        assert run.end() == 0
    assert [ask.params.get("cursor") for ask in made.asked[:4]] == again


def test_a_request_that_takes_longer_than_its_interval_is_made_again_at_once(tmp_path: Path) -> None:
    """And what was late is not caught up with."""
    slow = iter([1.0, 1.0])
    ended: list[float] = []

    def late(ask: Ask) -> bytes:
        gevent.sleep(next(slow, 0))
        ended.append(time.monotonic())
        return reply()

    with site({"/a": late}) as made, collecting(tmp_path, made, {"path": "/a", "every": "500ms"}) as run:
        eventually(lambda: len(made.asked) >= 7)
        assert run.end() == 0
    began = [ask.at for ask in made.asked]
    assert [began[1] - ended[0] < 0.5, began[2] - ended[1] < 0.5] == [True, True]
    assert began[6] - began[2] > 3.5 * 0.5


def test_a_server_can_ask_for_a_pause_of_an_hour_and_no_more() -> None:
    with site({"/a": reply("wait", "503 No", Retry_After="999999")}) as made:
        exchange = RestExchange(None, {"requests": [{"path": "/a", "every": "1s"}]}, None)
        connector = RestConnector(made.endpoint, exchange, RestConfig(endpoint=made.endpoint), direct=True)
        connecting = gevent.spawn(connector.connect)
        [poller] = connector._pollers
        eventually(lambda: poller.error is not None)
        assert poller.error is not None
        assert poller.error.wait_seconds == 3600
        connector.close()
        with pytest.raises(ConnectError):
            connecting.get()


def test_failures_are_tried_again_more_and_more_rarely(tmp_path: Path) -> None:
    with (
        site({"/a": reply("no", "500 No")}) as made,
        collecting(tmp_path, made, {"path": "/a", "every": "100ms"}) as run,
    ):
        eventually(lambda: len(made.asked) == 3)
        assert run.end() == 0
    first, second, third = (ask.at for ask in made.asked)
    assert second - first >= 1
    assert third - second >= 2


def test_what_is_not_json_is_kept_as_a_string(tmp_path: Path) -> None:
    with (
        site({"/html": reply("<html>login</html>")}) as made,
        collecting(tmp_path, made, {"path": "/html", "every": "1h"}) as run,
    ):
        eventually(run.lines)
        eventually(lambda: metric(run, "ssmd_messages_not_json_total") == 1)
        assert run.end() == 0
    assert json.loads(run.lines()[0])["data"] == "<html>login</html>"
    assert run.payloads() == [b"<html>login</html>"]


def test_a_run_that_gets_no_answer_at_all_is_not_connected(tmp_path: Path) -> None:
    with (
        site({"/a": reply("no", "500 No")}) as made,
        collecting(tmp_path, made, {"path": "/a", "every": "1s"}, data_timeout_seconds=3) as run,
    ):
        assert run.get("/ready")[0] == 503
        assert run.wait(PATIENCE) == 69
    assert "it answered 500" in run.events[-1]["reason"]
    assert not of_test(run, "connected")


KALSHI_SOURCE = "env:KALSHI_API_KEY,KALSHI_API_SECRET"
KALSHI_KEYS: dict[str, Any] = {
    "keys": {"k": {"type": "api_key", "fields": ["api_key", "api_secret"], "source": KALSHI_SOURCE}}
}


def test_kalshi_signs_the_method_and_the_path_of_each_request(tmp_path: Path) -> None:
    with site({"/trade-api/v2/markets": reply('{"markets":[]}')}) as made:
        request = {"path": "/markets", "params": {"limit": 5}, "every": "100ms"}
        with collecting(tmp_path, made, request, exchange="kalshi", base="/trade-api/v2", **KALSHI_KEYS) as run:
            eventually(lambda: len(made.asked) > 1)
            assert run.end() == 0
    for ask in made.asked:
        stamp = ask.headers["kalshi-access-timestamp"]
        assert ask.headers["kalshi-access-key"] == KEYS["KALSHI_API_KEY"]
        public: Any = read_private_key(KEYS["KALSHI_API_SECRET"]).public_key()
        signature = base64.b64decode(ask.headers["kalshi-access-signature"])
        public.verify(signature, f"{stamp}GET/trade-api/v2/markets".encode())
        assert abs(int(stamp) / 1000 - time.time()) < 60
    assert len({ask.headers["kalshi-access-timestamp"] for ask in made.asked}) > 1


def test_kalshi_needs_no_keys_for_what_is_public(tmp_path: Path) -> None:
    with site({"/trade-api/v2/exchange/status": reply('{"trading_active":true}')}) as made:
        request = {"path": "/exchange/status", "every": "1h"}
        with collecting(tmp_path, made, request, exchange="kalshi", base="/trade-api/v2", keys={}) as run:
            eventually(run.lines)
            assert run.end() == 0
    assert not any("kalshi" in name for name in made.asked[0].headers)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_keys_that_are_refused_end_the_run_with_77(tmp_path: Path, status: str) -> None:
    refused = {"/a": reply("no key", status)}
    version = '  dialect: {headers: {X-Token: "${key.token}"}}\n'
    with (
        site(refused) as made,
        collecting(tmp_path, made, {"path": "/a", "every": "1s"}, version=version, **GENERIC_KEYS) as run,
    ):
        assert run.wait(PATIENCE) == 77
    assert "refused the keys" in run.events[-1]["reason"]
    good = iter([reply()])
    with site({"/a": lambda ask: next(good, None) or refused["/a"]}) as made:
        later = tmp_path / "later"
        with collecting(
            later, made, {"path": "/a", "every": "100ms"}, version=version, data_timeout_seconds=2, **GENERIC_KEYS
        ) as run:
            assert run.wait(PATIENCE) == 77
    assert "/a has failed for 2 s (data_timeout_seconds)" in run.events[-1]["reason"]


def test_no_key_is_shown_anywhere(tmp_path: Path) -> None:
    """In the path, a parameter and a header; by a server that repeats all it gets, in good answers and in bad ones."""
    version = '  dialect: {headers: {X-Token: "Bearer ${key.token}", X-Now: "${now_ms}"}}\n'
    bad = iter([False, False])

    def repeating(ask: Ask) -> bytes:
        said = f"{ask.path} {ask.params} {ask.headers}"
        return reply(json.dumps({"a": 1}), ETag=CANARY) if next(bad, True) is False else reply(said, f"500 {said}")

    with site({f"/x/{CANARY}/a": repeating}) as made:
        request = {"path": "/x/${key.token}/a", "params": {"key": "${key.token}", "b": "1 2"}, "every": "100ms"}
        fields: Any = GENERIC_KEYS | {"data_timeout_seconds": 3}
        with collecting(tmp_path, made, request, version=version, **fields) as run:
            eventually(run.lines)
            shown = "".join(run.get(path)[1] for path in ("/status", "/metrics", "/ready"))
            assert run.wait(PATIENCE) == 75
    ask = made.asked[0]
    assert (ask.params, ask.headers["x-token"]) == ({"key": CANARY, "b": "1 2"}, f"Bearer {CANARY}")
    assert abs(int(ask.headers["x-now"]) / 1000 - time.time()) < 60
    written = "".join(path.read_text() for path in run.data.rglob("*") if path.is_file())
    log = json.dumps(run.events) + "".join(run.other)
    assert "canary" not in shown + written + log
    assert of_test(run, "response")[0]["url"] == f"{made.endpoint}/x/(hidden)/a?key=(hidden)&b=1%202"


# The environments of conf/, against servers whose answers have the documented shapes.


def kalshi_markets(ask: Ask) -> bytes:
    """https://docs.kalshi.com/api-reference/market/get-markets"""
    assert (ask.params["status"], ask.params["limit"]) == ("open", "1000")
    page = {"": ("A", "Cg0"), "Cg0": ("B", "")}[ask.params.get("cursor", "")]
    market = {"ticker": f"KXEXAMPLE-{page[0]}", "event_ticker": "KXEXAMPLE", "status": "active"}
    return reply(json.dumps({"markets": [market], "cursor": page[1]}))


KALSHI_STATUS = {"exchange_active": True, "trading_active": True}
KALSHI_HOURS = {"start_time": "2025-12-22T05:00:00Z", "monday": [{"open_time": "00:00", "close_time": "00:00"}]}
KALSHI_SCHEDULE = {"schedule": {"standard_hours": [KALSHI_HOURS], "maintenance_windows": []}}


def deribit_instruments(ask: Ask) -> bytes:
    """https://docs.deribit.com/#public-get_instruments"""
    assert ask.params["expired"] == "false"
    instrument = {"instrument_name": f"{ask.params['currency']}-PERPETUAL", "kind": "future", "tick_size": 0.5}
    document = {"jsonrpc": "2.0", "result": [instrument], "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False}
    return reply(json.dumps(document), Content_Type="application/json")


SHAPES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "kalshi-markets": ({"/trade-api/v2/markets": kalshi_markets}, ["KXEXAMPLE-A", "KXEXAMPLE-B"]),
    "kalshi-status": (
        {
            "/trade-api/v2/exchange/status": reply(json.dumps(KALSHI_STATUS)),
            "/trade-api/v2/exchange/schedule": reply(json.dumps(KALSHI_SCHEDULE)),
        },
        ["trading_active", "standard_hours"],
    ),
    "deribit-instruments": (
        {"/api/v2/public/get_instruments": deribit_instruments},
        ["BTC-PERPETUAL", "ETH-PERPETUAL"],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_an_environment_of_conf_collects_what_its_exchange_documents(tmp_path: Path, name: str) -> None:
    answers, expected = SHAPES[name]
    tree = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", tree)
    feed = tree / "feeds" / f"{name}.yaml"
    with site(answers) as made:
        feed.write_text(re.sub(r"endpoint: https://[^/]*", f"endpoint: {made.endpoint}", feed.read_text()))
        with Probed("run", name, "--config-dir", tree, "--listen", "127.0.0.1:0", cwd=tmp_path) as run:
            run.start_up()
            data = tmp_path / "data"
            eventually(lambda: sum(len(file.read_text().splitlines()) for file in data.glob(f"*/{name}.jsonl")) >= 2)
            eventually(lambda: run.get("/ready")[0] == 200)
            assert run.end() == 0
    [file] = data.glob(f"*/{name}.jsonl")
    text = file.read_text()
    assert [word for word in expected if word in text] == expected
    assert not any("kalshi" in header for ask in made.asked for header in ask.headers)
    assert ssmd("verify", data).returncode == 0
    assert ssmd("report", data).returncode == 0
