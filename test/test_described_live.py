"""A described exchange, live: real `ssmd run` processes, and a server that keeps the rules of each test.

The server may be late, when the machine is busy, and so may ssmd. So what is bounded here is what may not come too
early; that nothing comes late is tried with times that the test sets, in test_exchange_generic_connection.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from exchange_server import TEXT, ExchangeServer, Peer, serving
from process import Collector
from test_never_silent import entries, eventually, metric, not_ready

from ssmd.exchange.generic.replies import MOST_REPLIES

pytestmark = pytest.mark.one_day

CANARY = "canary-0123456789abcdef"
KEYS: dict[str, Any] = {"keys": {"test": {"type": "api_key", "fields": ["token"], "source": "env:TEST_TOKEN"}}}


@contextmanager
def collecting(
    folder: Path,
    script: Callable[[Peer], Any],
    dialect: dict[str, Any],
    *messages: Any,
    path: str = "",
    version: str = "",
    **environment: Any,
) -> Iterator[tuple[Collector, ExchangeServer]]:
    """A collector that has started, of a server that follows the script."""
    fields = {"subscribe": {"messages": list(messages)}} | environment
    with (
        serving(script) as server,
        Collector(
            folder,
            f"'{server.url}{path}'",
            exchange="generic",
            version=f"  dialect: {json.dumps(dialect)}\n{version}",
            environment="".join(f"{name}: {json.dumps(value)}\n" for name, value in fields.items()),
            variables={"TEST_TOKEN": CANARY},
        ) as collector,
    ):
        collector.start_up()
        yield collector, server


def send(peer: Peer, *messages: Any) -> None:
    peer.text(*[(message if isinstance(message, str) else json.dumps(message)).encode() for message in messages])


def receive(peer: Peer) -> Any:
    """Return the next message of the client: JSON, or text."""
    while (frame := peer.receive())[0] != TEXT:
        pass
    try:
        return json.loads(frame[1])
    except ValueError:
        return frame[1].decode()


def test_a_heartbeat_is_answered(tmp_path: Path) -> None:
    def script(peer: Peer) -> list[Any]:
        peer.upgrade()
        answers = []
        for number in range(3):
            send(peer, {"ping": number}, {"trade": number})
            answers.append(receive(peer))
        send(peer, "ping")
        return [*answers, receive(peer)]

    replies = [
        {"when": {"ping": {"exists": True}}, "send": {"pong": "${message.ping}"}},
        {"when": {"text": "ping"}, "send": "pong"},
    ]
    with collecting(tmp_path, script, {"replies": replies}) as (collector, server):
        assert server.result() == [{"pong": 0}, {"pong": 1}, {"pong": 2}, "pong"]
        assert collector.wait() == 75


def test_a_refusal_ends_the_run_with_the_words_of_the_exchange(tmp_path: Path) -> None:
    refusal = {"success": False, "req_id": 1, "error": "Currency pair not supported XBT/USD"}

    def script(peer: Peer) -> None:
        peer.upgrade()
        receive(peer)
        send(peer, {"channel": "trade"}, refusal)
        peer.drained()

    dialect = {
        "asked": {"channel": "params.channel", "id": "req_id"},
        "end_when": [{"when": {"success": False}, "as": "refused"}],
    }
    with collecting(tmp_path, script, dialect, {"params": {"channel": "trade"}, "req_id": 1}) as (collector, _):
        assert collector.wait() == 78
    assert "Currency pair not supported XBT/USD" in collector.events[-1]["reason"]
    [entry] = entries(collector, "refused")
    assert (entry["channel"], entry["code"], entry["line"]) == ("trade", None, 1)
    assert "Currency pair not supported XBT/USD" in entry["text"]
    assert [json.loads(payload) for payload in collector.payloads()] == [{"channel": "trade"}, refusal]


def test_a_notice_ends_the_run_so_that_the_next_one_connects_again(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        send(peer, {"event": "notice", "code": "64008", "msg": "upgrade in 60 s"})
        peer.drained()

    dialect = {"end_when": [{"when": {"event": "notice"}, "as": "disconnected"}]}
    with collecting(tmp_path, script, dialect) as (collector, _):
        assert collector.wait() == 75
    assert "upgrade in 60 s" in collector.events[-1]["reason"]
    [entry] = entries(collector, "disconnected")
    assert "upgrade in 60 s" in entry["reason"]
    assert len(collector.payloads()) == 1


def test_keep_alives_come_at_their_times_and_never_earlier(tmp_path: Path) -> None:
    def script(peer: Peer) -> list[tuple[Any, float]]:
        began = time.monotonic()
        peer.upgrade()
        return [(receive(peer), time.monotonic() - began) for _ in range(4)]

    dialect = {"keep_alive": [{"every_seconds": 1, "send": {"op": "ping", "at": "${now_s}"}}]}
    with collecting(tmp_path, script, dialect) as (collector, server):
        found = server.result()
        assert collector.wait() == 75
    for number, (message, passed) in enumerate(found, start=1):
        assert message["op"] == "ping"
        assert abs(message["at"] - time.time()) < 60
        assert passed >= number - 1e-3, "ssmd counts in ms"
    assert len(found) == 4


def test_the_opening_keeps_to_the_pace_and_answers_overtake_it(tmp_path: Path) -> None:
    per_second, count = 4, 18

    def script(peer: Peer) -> list[tuple[Any, float]]:
        began = time.monotonic()
        peer.upgrade()
        found: list[tuple[Any, float]] = []
        while len(found) < count + 1:
            found.append((receive(peer), time.monotonic() - began))
            if len(found) == per_second:
                send(peer, {"ping": 1})
        return found

    dialect = {"replies": [{"when": {"ping": {"exists": True}}, "send": "pong"}]}
    limit = f"  rate_limit_per_second: {per_second}\n"
    with collecting(tmp_path, script, dialect, *range(count), version=limit) as (collector, server):
        found = server.result()
        assert collector.wait() == 75
    messages = [message for message, _ in found]
    assert [message for message in messages if message != "pong"] == list(range(count))
    assert messages[:per_second] == list(range(per_second))
    assert messages.index("pong") <= 2 * per_second
    for number, (_, passed) in enumerate(found):
        assert passed >= number // per_second, "as many more as the limit, at least a second later"
    paced = [event for event in collector.events if "rate_limit_per_second" in event["event"]]
    assert len(paced) == 1


def test_replies_without_end_end_the_run_in_order(tmp_path: Path) -> None:
    def script(peer: Peer) -> int:
        peer.upgrade()
        send(peer, {"n": 1})
        count = 0
        while True:
            try:
                message = receive(peer)
            except (EOFError, OSError):
                return count
            count += 1
            send(peer, message)

    dialect = {"replies": [{"when": {"n": {"exists": True}}, "send": {"n": "${message.n}", "again": 1}}]}
    with collecting(tmp_path, script, dialect) as (collector, server):
        assert collector.wait() == 75
        assert server.result() <= MOST_REPLIES
    assert "`replies[0].when` (n: {exists: true})" in collector.events[-1]["reason"]


def test_heartbeats_alone_are_a_silence_of_data(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        send(peer, {"channel": "trade"})
        while True:
            send(peer, {"channel": "heartbeat"}, "pong")
            gevent.sleep(0.1)

    dialect = {"ignore": [{"channel": "heartbeat"}, {"text": "pong"}]}
    with collecting(tmp_path, script, dialect, data_timeout_seconds=3) as (collector, _):
        last = eventually(lambda: json.loads(collector.get("/status")[1])["messages"]["last"])
        collector.wait_for_lines(20)
        found = json.loads(collector.get("/status")[1])["messages"]
        assert (found["last"], found["not_json"]) == (last, 0)
        assert collector.wait() == 75
    assert "for 3 s (data_timeout_seconds)" in collector.events[-1]["reason"]
    assert not [event for event in collector.events if "not JSON" in event["event"]]
    assert b'"pong","encoding":"text"' in b"".join(collector.lines())


def test_what_was_asked_for_is_confirmed_and_heard_and_its_silence_ends_the_run(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        for market in receive(peer)["params"]["symbol"][:2]:
            send(peer, {"success": True, "result": {"channel": "book", "symbol": market}})
        send(peer, {"channel": "book", "data": [{"symbol": "A"}]})
        while True:
            send(peer, {"channel": "heartbeat"})
            gevent.sleep(0.1)

    dialect = {
        "asked": {"channel": "params.channel", "market": "params.symbol[*]"},
        "confirmed": {"when": {"success": True}, "channel": "result.channel", "market": "result.symbol"},
        "paths": {"type": "channel", "market": "data[0].symbol"},
        "ignore": {"channel": "heartbeat"},
    }
    message = {"params": {"channel": "book", "symbol": ["A", "B", "C"]}}
    limits: dict[str, Any] = {"silent_after_seconds": 3, "channel_timeout_seconds": {"book": 16}}
    with collecting(tmp_path, script, dialect, message, **limits) as (collector, _):
        eventually(lambda: metric(collector, "ssmd_channel_heard_markets", "book") == 1)
        assert metric(collector, "ssmd_channel_asked_markets", "book") == 3
        assert metric(collector, "ssmd_channel_confirmed_markets", "book") == 2
        assert collector.wait_for("channel silent")["channel"] == "book"
        assert "book: 1 of 3 markets not confirmed" in eventually(
            lambda: found if "confirmed" in (found := not_ready(collector)) else ""
        )
        assert collector.wait() == 75
    assert "no message of the channel book came for 16 s (channel_timeout_seconds)" in collector.events[-1]["reason"]
    [entry] = entries(collector, "asked")
    assert (entry["channel"], entry["markets"], entry["commands"]) == ("book", ["A", "B", "C"], [message])
    [entry] = entries(collector, "silent")
    assert (entry["channel"], entry["markets"], entry["names"]) == ("book", 2, ["B", "C"])


@pytest.mark.parametrize("sequence", [None, {"plus_one": "n", "scope": "connection"}])
def test_the_log_says_whether_lost_messages_will_show(tmp_path: Path, sequence: Any) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        send(peer, {"n": 1})

    with collecting(tmp_path, script, {"paths": {"sequence": sequence}} if sequence else {}) as (collector, _):
        assert collector.wait() == 75
    [event] = [event["event"] for event in collector.events if event["event"].startswith("lost messages")]
    assert ("cannot be detected" in event) == (sequence is None)


def test_the_value_of_a_key_is_nowhere_though_the_exchange_repeats_it(tmp_path: Path) -> None:
    def script(peer: Peer) -> list[Any]:
        request = peer.upgrade()
        found = [request.line, request.headers["X-Token"], receive(peer)]
        gate.wait()
        send(peer, {"error": {"message": f"bad token {CANARY}", "request": request.line}})
        peer.drained()
        return found

    gate = gevent.event.Event()
    dialect = {
        "headers": {"X-Token": "${key.token}"},
        "asked": {"channel": "channel"},
        "keep_alive": [{"every_seconds": 3600, "send": {"token": "${key.token}"}}],
        "end_when": [{"when": {"error": {"exists": True}}, "as": "refused"}],
    }
    message = {"channel": "trade", "token": "${key.token}"}
    query = "?token=${key.token}"
    with collecting(tmp_path, script, dialect, message, path=query, **KEYS) as (collector, server):
        eventually(lambda: entries(collector, "asked"))
        pages = [collector.get(path)[1] for path in ("/status", "/metrics", "/ready", "/health")]
        gate.set()
        assert collector.wait() == 78
        line, header, sent = server.result()
    assert (f"token={CANARY}" in line, header, sent["token"]) == (True, CANARY, CANARY)
    assert "bad token (hidden)" in collector.events[-1]["reason"]
    ledger = b"".join(path.read_bytes() for path in collector.data.glob("*/test.ledger.jsonl")).decode()
    for text in (*pages, ledger, json.dumps(collector.events), *collector.other):
        assert CANARY not in text
