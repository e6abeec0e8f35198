"""The simulator as its clients see it: real sockets, real handshakes, several clients, and no greenlet left behind."""

from __future__ import annotations

import gc
import json
import logging
import socket
import struct
import time
from typing import Any

import gevent
import pytest
import websocket
from patience import PATIENCE
from sim_client import ED_KEY, ED_KEY_ID, PATH, Client, eventually, headers, served

from ssmd.errors import ListenError
from ssmd.sim.births import Births
from ssmd.sim.frames import MAX_MESSAGE
from ssmd.sim.limits import Limits
from ssmd.sim.server import Simulator


def test_signed_handshakes_are_accepted() -> None:
    with served() as simulator:
        for path, signed in ((PATH, headers()), (PATH + "?a=1", headers()), (PATH, headers(None, ED_KEY_ID, ED_KEY))):
            with Client(simulator, path, signed) as client:
                client.subscribe("ticker")
                assert client.message()["type"] == "subscribed"


def test_handshakes_without_a_signature_or_with_an_old_one_get_401() -> None:
    with served() as simulator:
        stale = headers(int(time.time() * 1000) - 60_000)
        for signed, details in (({}, "MISSING_KALSHI_ACCESS_KEY"), (stale, "HEADER_TIMESTAMP_EXPIRED")):
            with pytest.raises(websocket.WebSocketBadStatusException) as caught:
                Client(simulator, PATH, signed)
            assert caught.value.status_code == 401
            assert json.loads(caught.value.resp_body)["error"]["details"] == details
            assert "date" in caught.value.resp_headers


def test_signatures_and_messages_go_by_the_clock_that_is_given() -> None:
    signed = headers(1_790_000_000_000)
    with served(clock=lambda: 1_790_000_000.25) as simulator, Client(simulator, PATH, signed) as client:
        client.subscribe("ticker")
        assert client.messages(2)[1]["msg"]["ts_ms"] == 1_790_000_000_250


def http(simulator: Simulator, request: str) -> str:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=PATIENCE) as sock:
        sock.sendall(request.replace("\n", "\r\n").encode())
        answer = b""
        while chunk := sock.recv(4096):
            answer += chunk
    return answer.decode()


UPGRADE = "GET /other HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET /other HTTP/1.1\nHost: x\nConnection: close\n\n", "426"),
        (f"GET {PATH} HTTP/1.1\nHost: x\nConnection: close\n\n", "401"),
        (UPGRADE + "\n", "426"),
        (UPGRADE + "Sec-WebSocket-Version: 12\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n\n", "426"),
        (UPGRADE + "Sec-WebSocket-Version: 13\n\n", "400"),
        (UPGRADE + "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: !\n\n", "400"),
        (UPGRADE.replace("1.1", "1.0") + "\n", "505"),
        ("nonsense\n\n", "400"),
    ],
)
def test_a_request_without_a_handshake_is_refused(request_: str, status: str, caplog: pytest.LogCaptureFixture) -> None:
    with served() as simulator:
        assert http(simulator, request_).split()[1] == status
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_a_port_in_use_is_an_error() -> None:
    with served() as simulator:
        with pytest.raises(ListenError) as caught:
            Simulator("127.0.0.1", simulator.port, credentials={}, rate=0)
        message = f"cannot listen on 127.0.0.1:{simulator.port}: Address already in use"
        assert str(caught.value).startswith(message)


def test_stop_may_be_called_before_serve_and_twice() -> None:
    simulator = Simulator("127.0.0.1", 0, credentials={}, rate=0)
    simulator.stop()
    simulator.stop()
    simulator.serve()


def test_stop_closes_connections_with_code_1001() -> None:
    with served(rate=100) as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        client.messages(2)
        stopping = gevent.spawn(simulator.stop)
        assert client.close_code() == (1001, "the simulator is stopping")
        stopping.get(timeout=PATIENCE)


def books_of(messages: list[Any]) -> dict[str, dict[str, dict[str, int]]]:
    """Return the books that snapshots and deltas lead to; check that they are valid after every step."""
    books: dict[str, dict[str, dict[str, int]]] = {}
    for message in messages:
        msg = message.get("msg", {})
        if message["type"] == "orderbook_snapshot":
            book = {s: {p: round(float(n) * 100) for p, n in msg.get(f"{s}_dollars_fp", [])} for s in ("yes", "no")}
            # A later snapshot must equal what the deltas have led to.
            assert books.setdefault(msg["market_ticker"], book) == book
        elif message["type"] == "orderbook_delta":
            book = books[msg["market_ticker"]]
            levels, price = book[msg["side"]], msg["price_dollars"]
            levels[price] = levels.get(price, 0) + round(float(msg["delta_fp"]) * 100)
            assert levels[price] >= 0
            if not levels[price]:
                del levels[price]
            assert float(max(book["yes"], default="0")) + float(max(book["no"], default="0")) < 1
    return books


def test_numbers_and_books_stay_right_under_load_while_subscriptions_change() -> None:
    with served() as simulator, Client(simulator) as client:
        client.subscribe("orderbook_delta", "trade", "ticker", market_tickers=["KXSIM-A", "KXSIM-B"])
        seen: list[Any] = []
        for i in range(30):
            seen += client.messages(200)
            tickers = [f"KXSIM-{'CDEFGH'[i % 6]}"]
            client.send(id=10 + i, cmd="update_subscription", params={
                "sid": 1, "action": "add_markets", "market_tickers": tickers})  # fmt: skip
            client.send(id=100 + i, cmd="update_subscription", params={
                "sids": [1], "action": "get_snapshot", "market_tickers": ["KXSIM-A"]})  # fmt: skip
        while seen[-1].get("id") != 129:
            seen.append(client.message())
        last: dict[int, int] = {}
        for message in seen:
            if "seq" in message:
                assert message["seq"] == last.get(message["sid"], 0) + 1
                last[message["sid"]] = message["seq"]
        assert set(last) == {1, 2}
        assert len(books_of(seen)) == 8
        assert sum(message["type"] == "orderbook_snapshot" for message in seen) == 8 + 30


def test_the_rate_is_that_of_all_channels_together() -> None:
    with served(rate=200) as simulator, Client(simulator) as client:
        start = time.monotonic()
        client.subscribe("ticker", "trade")
        client.messages(2 + 100)
        assert 0.45 < time.monotonic() - start < 10


def test_the_generic_exchange_needs_no_key_and_starts_at_once() -> None:
    with served(credentials={}) as simulator, Client(simulator, "/ws", {}) as client:
        client.ws.send("whatever this means elsewhere")
        kinds = {message["type"] for message in client.messages(200)}
        assert kinds == {"ticker", "trade"}


def test_pings_are_answered_and_sent() -> None:
    with served(heartbeat=0.05) as simulator, Client(simulator) as client:
        client.ws.ping("one")
        assert client.frame() == (websocket.ABNF.OPCODE_PONG, b"one")
        while client.pings < 2:  # Without a heartbeat this would meet the test's deadline.
            gevent.sleep(0.1)
            client.ws.ping(b"\x00\xff")
            assert client.frame() == (websocket.ABNF.OPCODE_PONG, b"\x00\xff")


def test_each_client_has_its_own_subscriptions() -> None:
    with served(rate=500) as simulator, Client(simulator) as one, Client(simulator) as other:
        one.subscribe("trade")
        other.subscribe("market_lifecycle_v2")
        assert {message["type"] for message in one.messages(50)[1:]} == {"trade"}
        assert "trade" not in {message["type"] for message in other.messages(50)}
        assert simulator.clients == 2
        one.ws.close()
        eventually(lambda: simulator.clients == 1)
        other.messages(20)


def test_the_same_seed_gives_the_same_messages() -> None:
    seen = []
    with served(clock=lambda: 1_790_000_000.0) as simulator:
        for _ in range(2):
            with Client(simulator, PATH, headers(1_790_000_000_000)) as client:
                client.subscribe("orderbook_delta", "ticker", market_ticker="KXSIM-A")
                seen.append([client.payload() for _ in range(300)])
    assert seen[0] == seen[1]


def writers() -> int:
    """Return how many greenlets are writing to a client."""
    greenlets = [each for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and not each.dead]
    return sum("_write_until_end" in repr(each) for each in greenlets)


def test_a_client_that_reads_nothing_does_not_block_others_and_leaves_no_greenlet() -> None:
    with served() as simulator, Client(simulator) as slow, Client(simulator) as quick:
        slow.subscribe("ticker")
        gevent.sleep(0.1)
        quick.subscribe("ticker")
        quick.messages(2000)
        assert (simulator.clients, writers()) == (2, 2)
        slow.ws.shutdown()
        eventually(lambda: simulator.clients == 1)
        assert writers() == 1


def test_the_close_frame_of_a_client_is_answered_and_the_stream_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssmd.sim.connection.GRACE", 30)
    with served() as simulator, Client(simulator) as client:
        client.ws.send(struct.pack(">H", 1000) + b"bye", websocket.ABNF.OPCODE_CLOSE)
        assert client.frame() == (websocket.ABNF.OPCODE_CLOSE, struct.pack(">H", 1000))
        start = time.monotonic()
        # The server is the first to end the TCP stream (RFC 6455, 7.1.1), and does so at once.
        assert client.ws.sock.recv(1) == b""
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02{}", 1002),
        (b"\xc1\x80\x00\x00\x00\x00", 1002),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
        (b"\x80\x80\x00\x00\x00\x00", 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        (b"\x81\xff" + (MAX_MESSAGE + 1).to_bytes(8, "big"), 1009),
    ],
)
def test_a_broken_frame_ends_the_connection_with_a_code(data: bytes, code: int) -> None:
    with served() as simulator, Client(simulator) as client:
        client.ws.sock.sendall(data)
        assert client.close_code()[0] == code
        eventually(lambda: simulator.clients == 0)


def test_a_message_of_endless_fragments_ends_the_connection() -> None:
    with served() as simulator, Client(simulator) as client:
        mask, part = b"\0\0\0\0", b"x" * 60_000
        client.ws.sock.sendall(b"\x01\xfe" + len(part).to_bytes(2, "big") + mask + part)
        for _ in range(MAX_MESSAGE // len(part)):
            client.ws.sock.sendall(b"\x00\xfe" + len(part).to_bytes(2, "big") + mask + part)
        assert client.close_code()[0] == 1009


def test_a_command_may_come_in_fragments_with_a_ping_in_between() -> None:
    with served(rate=5) as simulator, Client(simulator) as client:
        command = b'{"id":3,"cmd":"list_subscriptions"}'
        client.ws.send_frame(websocket.ABNF.create_frame(command[:9], websocket.ABNF.OPCODE_TEXT, 0))
        client.ws.ping("mid")
        client.ws.send_frame(websocket.ABNF.create_frame(command[9:], websocket.ABNF.OPCODE_CONT, 1))
        assert client.frame() == (websocket.ABNF.OPCODE_PONG, b"mid")
        assert client.message() == {"type": "ok", "id": 3, "msg": []}


def test_a_flood_of_commands_waits_until_the_client_reads_the_replies() -> None:
    endless = Limits(commands_per_second=1_000_000)
    with served(rate=1, limits=endless) as simulator, Client(simulator) as client:
        text = json.dumps({"id": 1, "cmd": "nonsense " + "x" * 50})
        flood = gevent.spawn(lambda: [client.ws.send(text) for _ in range(30_000)])
        assert [client.message()["msg"]["code"] for _ in range(30_000)] == [5] * 30_000
        flood.get(timeout=PATIENCE)


def test_a_bug_is_logged_with_its_traceback(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from ssmd.sim.session import Session

    monkeypatch.setattr(Session, "produce", lambda *_: 1 / 0)
    with served() as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            client.messages(2)
        eventually(lambda: simulator.clients == 0)
    assert "ZeroDivisionError" in caplog.text


def test_a_client_that_leaves_is_not_logged_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    with served() as simulator:
        for _ in range(3):
            with Client(simulator) as client:
                client.subscribe("ticker")
                client.messages(20)
        eventually(lambda: simulator.clients == 0)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with served() as simulator:
        signed = headers()
        with Client(simulator, PATH, signed):
            pass
        with pytest.raises(websocket.WebSocketBadStatusException):
            Client(simulator, PATH, signed | {"KALSHI-ACCESS-TIMESTAMP": "1"})
    assert caplog.records
    assert signed["KALSHI-ACCESS-SIGNATURE"] not in caplog.text
    assert signed["KALSHI-ACCESS-KEY"] not in caplog.text


def test_markets_are_born_while_there_is_no_client() -> None:
    now = [1_790_000_000.0]
    with served(clock=lambda: now[0], births=Births(per_hour=3600)) as simulator:
        before = simulator.universe.end
        now[0] += 60
        eventually(lambda: simulator.universe.end > before + 60)
