"""The live streams over real sockets: who gets what, how many there may be, and what bad clients can do."""

from __future__ import annotations

import gc
import json
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import gevent
import pytest
from exchange_server import eventually
from test_server_health import ask, connected, to_its_end
from test_server_page_routes import page_of
from test_server_status import busy

from ssmd.contracts.tail import EVERYTHING, Seen, Wish
from ssmd.runtime.status import Status
from ssmd.server import health, streams
from ssmd.server.health import HealthServer
from ssmd.server.levels import STATUS
from ssmd.server.page.routes import MOST_WISHES
from ssmd.server.streams import BLOCKED_SECONDS, MOST_STREAMS, SEND_BYTES, Stream, Streams


class ScriptedTail:
    """Has one message for each wish, each second."""

    def __init__(self) -> None:
        self.wanted: set[Wish] = set()

    def want(self, wishes: Any) -> None:
        self.wanted = set(wishes)

    def take(self, wish: Wish) -> list[Seen]:
        assert wish in self.wanted
        return [Seen(1_790_000_000_123_000_000, wish.type or "any", "<b>KX", "</script>", 9)]


class Client:
    """Reads the events of one stream."""

    def __init__(self, server: HealthServer, query: str = "") -> None:
        self.sock = connected(server)
        self.sock.sendall(f"GET /live{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self._file = self.sock.makefile("rb")
        self.code = int(self._file.readline().split()[1])
        self.headers = dict(line.decode().strip().split(": ", 1) for line in iter(self._file.readline, b"\r\n"))

    def event(self) -> dict[str, Any]:
        line = self._file.readline()
        assert line.startswith(b"data: ")
        assert self._file.readline() == b"\n"
        return json.loads(line[6:])

    def end(self) -> bytes:
        return self._file.read()

    def close(self) -> None:
        self._file.close()
        self.sock.close()


@contextmanager
def live(status: Status | None = None, **more: Any) -> Iterator[HealthServer]:
    with page_of(status or busy(), **more) as server:
        yield server


def pool_of(server: HealthServer) -> Streams:
    assert server._streams is not None
    return server._streams


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EVENT_SECONDS", 0.02)
    monkeypatch.setattr(streams, "MOST_SECONDS", 0.02)


def test_a_stream_begins_with_everything_and_then_says_what_has_changed(fast):
    status = busy()
    with live(status) as server:
        client = Client(server)
        assert (client.code, client.headers["Content-Type"]) == (200, "text/event-stream")
        assert "Content-Length" not in client.headers
        first, second = client.event(), client.event()
        assert {*first["parts"]} == {"verdict", "ages", "days", "rates", "channels", "behind", "figures", "run"}
        assert (first["brief"], first["tail"]) == ("Not all of it comes", [])
        assert second["parts"] == {}  # The clock of the test stands still.
        status.ending = "the disk is full"
        while not (parts := client.event()["parts"]):
            pass
        assert {*parts} == {"verdict"}
        assert "the disk is full" in parts["verdict"]


def test_it_lasts_longer_than_other_connections(fast, monkeypatch):
    monkeypatch.setattr(health, "CONNECTION_SECONDS", 0.1)
    with live() as server:
        client = Client(server)
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            client.event()
        assert not server._connections


def test_all_streams_share_the_events(fast):
    begun: list[set[Any]] = []
    made: list[tuple[Any, bool]] = []

    def event(kind: Any, is_new: bool) -> bytes:
        made.append((kind, is_new))
        return b"event\n"

    pool = Streams(begun.append, event)
    pairs = [gevent.socket.socketpair() for _ in range(30)]
    for server, _ in pairs:
        pool.take(server, EVERYTHING, b"head\n")
        server.close()
    for _, client in pairs:
        assert client.makefile("rb").readline() == b"head\n"
        assert client.recv(600).startswith(b"event\n")
    assert begun[0] == {EVERYTHING}
    assert len(made) <= len(begun) + 1  # The first for all as new.
    pool.stop()


def test_events_that_take_much_cpu_come_less_often_but_a_new_stream_does_not_wait(fast, monkeypatch):
    monkeypatch.setattr(streams, "MOST_SECONDS", 3600)
    begun: list[set[Any]] = []

    def event(kind: Any, is_new: bool) -> bytes:
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
        return b"event\n"

    with ExitStack() as stack:
        limited = Streams(begun.append, event, share=1e-5)
        stack.callback(limited.stop)
        for events in (1, 2):
            opened(limited, stack)
            while len(begun) < events:
                gevent.sleep(0.01)
            gevent.sleep(0.3)  # In which 15 could come.
            assert len(begun) == events
        unlimited = Streams(begun.append, event, share=math.inf)
        stack.callback(unlimited.stop)
        opened(unlimited, stack)
        eventually(lambda: len(begun) > 5)


def opened(pool: Streams, stack: ExitStack) -> None:
    for sock in (pair := gevent.socket.socketpair()):
        stack.callback(sock.close)
    pool.take(pair[0], EVERYTHING, b"")


def test_the_messages_that_each_wants(fast):
    tail = ScriptedTail()
    with live(tail=tail) as server:
        everything, trades = Client(server), Client(server, "?type=trade&market=KX%20%3C")
        for _ in range(3):
            assert [seen["type"] for seen in everything.event()["tail"]] == ["any"]
            assert trades.event()["tail"] == [
                {"time": "14:13:20.123", "type": "trade", "market": "<b>KX", "text": "</script>", "size": 9}
            ]
        assert tail.wanted == {EVERYTHING, Wish("trade", "KX <")}
        for client in (everything, trades):
            client.sock.shutdown(socket.SHUT_RDWR)
        eventually(lambda: tail.wanted == set())


def test_without_a_tail_no_wish_counts(fast):
    with live(level=STATUS) as server:
        assert Client(server, "?type=fill&market=KX").event()["tail"] == []


def test_only_so_many_streams_and_the_probes_are_answered(fast):
    with live() as server, ExitStack() as stack:
        for _ in range(MOST_STREAMS):
            client = Client(server)
            stack.enter_context(client.sock)
            assert client.code == 200
        refused = ask(server, "/live")
        assert (refused.code, refused.json) == (503, {"error": "Service Unavailable"})
        for _ in range(20):
            assert ask(server, "/health").code == 200
        assert len(server._connections) == 0
        client.sock.shutdown(socket.SHUT_RDWR)
        eventually(lambda: ask(server, "/live", "HEAD").code == 200)


def test_only_so_many_different_wishes(fast):
    with live(tail=ScriptedTail()) as server:
        clients = [Client(server, f"?type={number}") for number in range(MOST_WISHES)]
        assert ask(server, "/live?type=another").code == 503
        assert {Client(server, "?type=0").code, Client(server).code} == {200}
        assert len(clients) == MOST_WISHES


def test_who_never_reads_is_cut_off_and_nobody_waits_for_it(fast, monkeypatch):
    monkeypatch.setattr(streams, "BLOCKED_SECONDS", 0.3)
    with live(tail=LongTail()) as server:
        reader, never = Client(server), connected(server)
        never.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        never.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        pool = pool_of(server)
        eventually(lambda: len(pool) == 2)
        while len(pool) == 2:
            reader.event()
        for _ in range(10):
            reader.event()
        assert len(pool) == 1
        to_its_end(never)


class LongTail(ScriptedTail):
    def take(self, wish: Wish) -> list[Seen]:
        return [Seen(1, "trade", "KX", "x" * 20_000, 20_000)]


def stream_to_a_client() -> tuple[Stream, socket.socket]:
    """A stream that has much more unsent than the sockets hold."""
    server, client = gevent.socket.socketpair()
    server.settimeout(0.0)
    stream = Stream(server, EVERYTHING, b"head\n" + bytes(2_000_000))
    stream.send(b"event\n", 0.0)
    return stream, client


def test_a_slow_reader_is_kept_as_long_as_it_takes_something():
    stream, client = stream_to_a_client()
    received, seconds = b"", 0
    while not received.endswith(b"event\n"):
        received += client.recv(100_000)
        seconds += 1
        stream.send(b"event\n", float(seconds))
        assert stream.is_open
    assert seconds > 2 * BLOCKED_SECONDS
    # Those events between are lost, and none is in parts.
    assert received.replace(b"event\n", b"") == b"head\n" + bytes(2_000_000)
    assert not stream.is_new


def test_one_that_takes_nothing_is_cut_off_after_that_time():
    stream, client = stream_to_a_client()
    for second in (1.0, BLOCKED_SECONDS):
        stream.send(b"event\n", second)
        assert stream.is_open
    stream.send(b"event\n", 0.1 + BLOCKED_SECONDS)
    assert not stream.is_open
    assert len(to_its_end(client)) < 2_000_000


def test_the_system_keeps_little_for_a_client(fast):
    with live() as server, connected(server) as never:
        never.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: len(pool_of(server)) == 1)
        [stream] = pool_of(server)._streams
        assert stream._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * SEND_BYTES


def greenlets() -> int:
    return sum(isinstance(one, gevent.Greenlet) and not one.dead for one in gc.get_objects())


def test_tabs_that_come_and_go_leave_nothing(fast):
    """As fast as they can: each finds room, because those that have left make it."""
    tail = ScriptedTail()
    with live(tail=tail) as server:
        assert ask(server, "/").code == 200
        eventually(lambda: not server._connections)
        before = greenlets(), len(os.listdir("/proc/self/fd"))
        for number in range(1000):
            client = Client(server, f"?type={number}")
            assert client.code == 200
            if number % 50 == 0:
                client.event()
            client.sock.shutdown(socket.SHUT_RDWR)
            client.close()
        eventually(lambda: len(pool_of(server)) == 0 and tail.wanted == set())
        eventually(lambda: (greenlets(), len(os.listdir("/proc/self/fd"))) == before)


def test_who_has_lost_an_event_gets_everything_with_the_next(fast):
    with live(tail=LongTail()) as server:
        client = Client(server)
        assert client.event()["parts"]
        assert not client.event()["parts"]
        [stream] = pool_of(server)._streams
        eventually(lambda: stream.is_new)  # It does not read, and the sockets hold some events only.
        while not client.event()["parts"]:
            pass


def test_the_end_of_the_server_ends_all_streams_at_once(fast):
    with live() as server:
        clients = [Client(server) for _ in range(5)]
        clients[0].event()
        began = time.monotonic()
        server.stop()
        for client in clients:
            client.end()
        assert time.monotonic() - began < 2
        assert not pool_of(server).has_room


def test_a_bug_in_an_event_leaves_no_stream_open(capsys):
    pool = Streams(lambda kinds: None, lambda kind, is_new: b"%d" % (1 // 0))
    server, client = gevent.socket.socketpair()
    pool.take(server, EVERYTHING, b"head\n")
    server.close()
    client.settimeout(5)
    assert client.recv(600) == b""
    assert len(pool) == 0
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
def test_it_is_only_to_be_read(method):
    with live() as server:
        assert ask(server, "/live", method).code == 405


def test_a_stranger_s_name_gets_no_stream():
    with live(only_local=True) as server, connected(server) as sock:
        sock.sendall(b"GET /live HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert b" 403 " in to_its_end(sock)[:20]


def test_head_does_not_begin_a_stream():
    with live() as server:
        answer = ask(server, "/live", "HEAD")
        assert (answer.code, answer.headers["content-type"], answer.body) == (200, "text/event-stream", b"")
        assert len(pool_of(server)) == 0
