"""The probes over real sockets: what they answer, how fast, and what bad clients can do to them."""

from __future__ import annotations

import itertools
import json
import logging
import os
import resource
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import gevent.event
import pytest
from exchange_server import eventually
from flask import Flask
from patience import PATIENCE
from process import Collector
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from ssmd.errors import ListenError
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.status import STUCK_SECONDS, Status
from ssmd.server import health
from ssmd.server.answers import MOST_TYPES, Answers
from ssmd.server.app import make_app
from ssmd.server.health import HealthServer


@contextmanager
def served(app: Any, host: str = "127.0.0.1", **more: Any) -> Iterator[HealthServer]:
    server = HealthServer(host, 0, app, **more)
    serving = gevent.spawn(server.serve)
    try:
        yield server
    finally:
        server.stop()
        serving.get(timeout=PATIENCE)


@pytest.fixture
def status() -> Status:
    return Status(location="/data/day/feed.jsonl")


@pytest.fixture
def server(status: Status) -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Metrics(registry, "demo", status)
    with served(make_app(status, registry, dict)) as server:
        yield server


class Answer(NamedTuple):
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


def connected(server: HealthServer) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def to_its_end(sock: socket.socket) -> bytes:
    """Return everything that the server sends until it closes the connection."""
    data = b""
    with suppress(ConnectionResetError):
        while part := sock.recv(65536):
            data += part
    return data


def exchange(server: HealthServer, request: bytes) -> bytes:
    with connected(server) as sock:
        sock.sendall(request)
        return to_its_end(sock)


def ask(server: HealthServer, path: str, method: str = "GET", fields: str = "", version: str = "1.1") -> Answer:
    answer = exchange(server, f"{method} {path} HTTP/{version}\r\nHost: probe\r\n{fields}\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Answer(int(first.split(" ")[1]), headers, body)


# Answers.


def test_healthy_from_the_start(server: HealthServer) -> None:
    answer = ask(server, "/health")
    assert (answer.code, answer.json) == (200, {"status": "ok"})
    assert answer.body.replace(b" ", b"").strip() == b'{"status":"ok"}'


def test_health_says_why_the_run_is_ending(server: HealthServer, status: Status) -> None:
    status.ending = "the disk is full"
    answer = ask(server, "/health")
    assert (answer.code, answer.json) == (503, {"status": "error", "reason": "the disk is full"})


def test_health_says_that_a_write_is_stuck(server: HealthServer, status: Status) -> None:
    status.write_began = time.monotonic()
    assert ask(server, "/health").code == 200
    status.write_began = time.monotonic() - STUCK_SECONDS - 33
    answer = ask(server, "/health")
    late = round(time.monotonic() - status.write_began)  # On a busy machine the answer may take a while.
    reasons = [f"a write to /data/day/feed.jsonl has been stuck for {seconds} s" for seconds in range(43, late + 1)]
    assert (answer.code, answer.json["status"]) == (503, "error")
    assert answer.json.keys() == {"status", "reason"}
    assert answer.json["reason"] in reasons
    status.write_began = None
    assert ask(server, "/health").code == 200


def test_ready_while_connected(server: HealthServer, status: Status) -> None:
    answer = ask(server, "/ready")
    assert (answer.code, answer.json) == (503, {"status": "not_ready", "reason": "not connected"})
    status.connected = True
    answer = ask(server, "/ready")
    assert (answer.code, answer.json) == (200, {"status": "ready"})
    status.ending = "asked to"
    assert ask(server, "/ready").code == 503


def test_metrics_as_text(server: HealthServer, status: Status) -> None:
    status.connected = True
    answer = ask(server, "/metrics")
    assert answer.code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'\nssmd_connected{feed="demo",shard=""} 1.0\n' in answer.body
    families = {family.name for family in parse_text(answer.body.decode())}
    assert {"ssmd_messages", "ssmd_errors", "ssmd_connected", "ssmd_last_message_timestamp"} <= families


def test_metrics_as_openmetrics(server: HealthServer) -> None:
    answer = ask(server, "/metrics", fields="Accept: application/openmetrics-text; version=1.0.0\r\n")
    assert answer.code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")
    assert "ssmd_messages" in {family.name for family in parse_openmetrics(answer.body.decode())}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=x",
        "text/plain; version=1.x.0",
        "application/openmetrics-text; version=1..0; escaping=?",
        ";;;,,,",
        "\xff",
    ],
)
def test_an_invalid_accept_header_gets_the_metrics_as_text(
    server: HealthServer, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(server, "/metrics", fields=f"Accept: {accept}\r\n")
    assert answer.code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert not caplog.records


@pytest.mark.parametrize(("path", "code"), [("/health", 200), ("/ready", 503), ("/metrics", 200), ("/status", 200)])
def test_head_is_get_without_the_body(server: HealthServer, path: str, code: int) -> None:
    head, get = ask(server, path, "HEAD"), ask(server, path)
    assert head.code == get.code == code
    assert head.body == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":  # The metrics differ from one moment to the next.
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize(
    "path", ["/", "/Health", "/health/", "/health//", "/health/x", "/metrics.txt", "/static/x", "/%2e%2e/etc", "/\xff"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_unknown_paths(server: HealthServer, path: str, method: str) -> None:
    answer = ask(server, path, method)
    assert answer.code == 404
    assert answer.headers["content-type"] == "application/json"
    assert method == "HEAD" or answer.json == {"error": "Not Found"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/status"])
def test_other_methods(server: HealthServer, path: str, method: str) -> None:
    answer = ask(server, path, method)
    assert (answer.code, answer.json) == (405, {"error": "Method Not Allowed"})
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_post_with_a_body_is_answered_too(server: HealthServer) -> None:
    answer = exchange(server, b"POST /health HTTP/1.1\r\nHost: p\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/status", "/unknown"])
def test_each_answer_ends_its_connection(server: HealthServer, path: str, version: str) -> None:
    answer = ask(server, path, fields="Connection: keep-alive\r\n", version=version)
    assert answer.headers["connection"] == "close"
    assert len(answer.body) == int(answer.headers["content-length"])


def test_only_the_first_of_several_requests_is_answered(server: HealthServer) -> None:
    answer = exchange(server, b"GET /health HTTP/1.1\r\nHost: p\r\n\r\n" * 3)
    assert answer.count(b"HTTP/1.1") == 1


# Bad clients.

HEALTH = b"GET /health HTTP/1.1\r\nHost: probe\r\n"
GARBAGE = {
    "nothing": b"",
    "blank lines": b"\r\n\r\n\r\n",
    "one word": b"hello\r\n\r\n",
    "binary": bytes(range(256)) + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x42" * 40 + b"\r\n\r\n",
    "no version": b"GET /health\r\n\r\n",
    "odd versions": b"GET /health HTTP/9.9\r\n\r\n",
    "half a version": b"GET /health HTTP/1\r\n\r\n",
    "a version that is none": b"GET /health HTTP/x.y\r\n\r\n",
    "a version of another": b"GET /health SPDY/3\r\n\r\n",
    "an endless line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "an endless header": HEALTH + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "a thousand headers": HEALTH + b"X: y\r\n" * 1000 + b"\r\n",
    "headers without colons": HEALTH + b"no colon here\r\n\r\n",
    "folded headers": b"GET /health HTTP/1.1\r\n folded\r\n\tagain\r\n\r\n",
    "no name": HEALTH + b": nameless\r\n\r\n",
    "escapes": b"GET /\x1b[31m%0d%0aFORGED HTTP/1.1\r\nHost: \x1b]0;title\x07\r\n\r\n",
    "percent signs": b"GET /%s%d%n%(name)s HTTP/%s\r\n\r\n",
    "a bad host": b"GET /health HTTP/1.1\r\nHost: a b/../\xff:port:\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "a proxy's request": b"GET http://elsewhere/health HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    "options of all": b"OPTIONS * HTTP/1.1\r\nHost: p\r\n\r\n",
    "an upgrade": HEALTH + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a length that is none": HEALTH + b"Content-Length: x\r\n\r\n",
    "a negative length": HEALTH + b"Content-Length: -1\r\n\r\n",
    "a length in HEAD": b"HEAD /health HTTP/1.1\r\nHost: p\r\nContent-Length: 4\r\n\r\nbody",
    "a body that does not come": b"POST /health HTTP/1.1\r\nHost: p\r\nContent-Length: 100000\r\n\r\n",
    "a body that is not asked for": HEALTH + b"Content-Length: 100000\r\nExpect: 100-continue\r\n\r\n",
    "bad chunks": b"POST /health HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "chunks that do not end": b"POST /health HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\nab",
}


def test_a_long_head_is_refused_before_all_of_it_is_there(server: HealthServer) -> None:
    """Python would keep 100 fields of 64 kB for each of 512 connections, 3 GB."""
    fields = b"X: " + b"a" * 1000 + b"\r\n"
    room = health.MOST_HEAD_BYTES // len(fields)
    assert exchange(server, HEALTH + fields * (room - 1) + b"\r\n").split(b" ")[1] == b"200"
    # Without the empty line after it: nothing more is waited for.
    assert exchange(server, HEALTH + fields * (room + 1)).split(b" ")[1] == b"400"


@pytest.mark.parametrize("leaves", ["waits", "hangs up", "resets"])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_disturbs_neither_the_probes_nor_the_log(
    server: HealthServer,
    garbage: bytes,
    leaves: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The connection ends, nothing is printed or logged for operators, and the probes are answered."""
    caplog.set_level(logging.DEBUG)
    # The probe that comes after it has the usual time.
    with monkeypatch.context() as impatient, connected(server) as sock:
        impatient.setattr(health, "CONNECTION_SECONDS", 0.1)
        with suppress(OSError):  # The server may close the connection before the end.
            sock.sendall(garbage)
        if leaves == "waits":
            to_its_end(sock)
        elif leaves == "hangs up":
            sock.shutdown(socket.SHUT_WR)
            to_its_end(sock)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if leaves == "resets":
        while server._connections:
            gevent.sleep(0.005)
    assert ask(server, "/health").code == 200
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dripped", [b"", b"GET /hea", HEALTH, HEALTH + b"X-Slow: "])
def test_a_connection_ends_at_its_deadline(
    server: HealthServer, dripped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the client sends a byte now and then."""
    monkeypatch.setattr(health, "CONNECTION_SECONDS", 0.3)

    def drip() -> None:
        with suppress(OSError):
            sock.sendall(dripped)
            while True:
                sock.sendall(b"x")
                gevent.sleep(0.02)

    began = time.monotonic()
    with connected(server) as sock:
        dripping = gevent.spawn(drip)
        assert to_its_end(sock) == b""
        assert 0.25 < time.monotonic() - began < 10
        dripping.join()


def test_a_client_that_does_not_read_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """The answer is too long for the sockets' buffers."""
    monkeypatch.setattr(health, "CONNECTION_SECONDS", 0.2)
    app = make_app(Status(), CollectorRegistry(), dict)
    app.add_url_rule("/long", view_func=lambda: b"l" * (64 << 20))
    with served(app) as server, connected(server) as sock:
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: p\r\n\r\n")
        gevent.sleep(0.1)
        assert len(server._connections) == 1
        while server._connections:
            gevent.sleep(0.01)
        assert 0 < len(to_its_end(sock)) < 64 << 20
    assert capfd.readouterr() == ("", "")


def test_a_client_that_takes_a_long_answer_slowly_gets_it_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CONNECTION_SECONDS", 0.5)
    app = make_app(Status(), CollectorRegistry(), dict)
    app.add_url_rule("/long", view_func=lambda: b"l" * (8 << 20))
    with served(app) as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: p\r\n\r\n")
        got = 0
        while part := sock.recv(65536):
            got += len(part)
            gevent.sleep(0.02)  # Together at least 2.5 s.
    assert got > 8 << 20


def test_a_bug_in_the_app_is_logged_and_answered(status: Status, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(status, CollectorRegistry(), dict)

    def broken() -> str:
        raise LookupError("a bug")

    app.add_url_rule("/broken", view_func=broken)
    with served(app) as server:
        answer = ask(server, "/broken")
    assert (answer.code, answer.json) == (500, {"error": "Internal Server Error"})
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_silent_connections_do_not_keep_the_probes_out(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_CONNECTIONS", 64)
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(server)) for _ in range(200)]
        for _ in range(20):
            began = time.monotonic()
            assert ask(server, "/health").code == 200
            assert time.monotonic() - began < 10
        assert len(server._connections) <= 64
        for sock in silent[:100]:
            assert to_its_end(sock) == b"", "the oldest make room"


@pytest.mark.parametrize(("allowed", "most"), [(128, 64), (16, 8), (1, 1), (1024, 100), (resource.RLIM_INFINITY, 100)])
def test_connections_leave_half_of_the_descriptors_to_the_collector(
    allowed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_CONNECTIONS", 100)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (allowed, resource.RLIM_INFINITY))
    with served(make_app(Status(), CollectorRegistry(), dict)) as server, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connected(server))
        eventually(lambda: len(server._connections) == most)
        gevent.sleep(0.2)
        assert len(server._connections) == most
        assert ask(server, "/health").code == 200


@pytest.mark.parametrize("allowed", [64, 128, 256])
def test_a_crowd_of_probes_takes_no_descriptors_from_the_collector(tmp_path: Path, allowed: int) -> None:
    prefix = ["sh", "-c", f'ulimit -n {allowed}; exec "$@"', "sh"]
    with Collector(tmp_path, "sim://kalshi", prefix=prefix) as collector, ExitStack() as stack:
        collector.start_up()
        collector.wait_for("connected")
        host, port = collector.listen.split(":")
        for _ in range(300):
            stack.enter_context(socket.create_connection((host, int(port))))
        for _ in range(5):
            assert collector.get("/health")[0] == 200
        descriptors = len(list(Path(f"/proc/{collector.process.pid}/fd").iterdir()))
        assert descriptors < allowed * 7 / 8, "what a new day's files need is left"
        assert collector.end() == 0
    assert collector.other == []


def test_a_probe_that_sends_its_request_late_survives_a_crowd(server: HealthServer) -> None:
    with ExitStack() as stack:
        probe = stack.enter_context(connected(server))
        for _ in range(300):
            stack.enter_context(connected(server))
        gevent.sleep(0.1)
        probe.sendall(HEALTH + b"\r\n")
        assert to_its_end(probe).startswith(b"HTTP/1.1 200 ")


def test_a_probe_in_a_burst_of_silent_connections_is_answered() -> None:
    """All wait to be accepted at the same time; the newer ones must not push the probe out before its request is
    read.
    """
    server = HealthServer("127.0.0.1", 0, make_app(Status(), CollectorRegistry(), dict))
    with ExitStack() as stack:
        socks = [stack.enter_context(connected(server)) for _ in range(120)]
        for probe in socks[5:100:10]:
            probe.sendall(HEALTH + b"\r\n")
        serving = gevent.spawn(server.serve)
        for probe in socks[5:100:10]:
            assert to_its_end(probe).startswith(b"HTTP/1.1 200 ")
        server.stop()
        serving.get(timeout=PATIENCE)


# Listening.


def test_who_has_connected_is_answered_before_another_program_goes_on_listening(server: HealthServer) -> None:
    listener = server.hold()
    try:
        with connected(server) as client:
            eventually(lambda: server._connections)
            stopping = gevent.spawn(server.stop)
            gevent.sleep(0)  # It has begun to stop.
            client.sendall(HEALTH + b"\r\n")
            assert to_its_end(client).startswith(b"HTTP/1.1 200 ")
            stopping.get(timeout=PATIENCE)
        with connected(server):
            pass  # The socket listens still.
    finally:
        os.close(listener)


def test_a_crowd_does_not_keep_a_probe_from_connecting() -> None:
    """A client that finds the backlog full tries again only after a second, and by then a probe has failed."""
    server = HealthServer("127.0.0.1", 0, make_app(Status(), CollectorRegistry(), dict))
    try:
        with ExitStack() as stack:
            began = time.monotonic()
            for _ in range(400):
                stack.enter_context(connected(server))
            assert time.monotonic() - began < 10
    finally:
        server.stop()


class Slow:
    """Metrics that take a while to collect; counts how often they are."""

    def __init__(self, each: Callable[[], None] = lambda: None) -> None:
        self.collections = 0
        self.each = each

    def collect(self) -> Iterator[Any]:
        self.collections += 1
        self.each()
        yield GaugeMetricFamily("collections", "So far.", value=self.collections)


@contextmanager
def served_with(slow: Slow) -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    with served(make_app(Status(), registry, dict)) as server:
        registry.register(slow)
        slow.collections = 0
        yield server


def test_metrics_are_made_once_for_many_requests_and_never_before_the_request() -> None:
    slow = Slow()
    with served_with(slow) as server, ExitStack() as crowd:
        socks = [crowd.enter_context(connected(server)) for _ in range(200)]
        for sock in socks:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = [to_its_end(sock) for sock in socks]
        assert all(b"\ncollections " in answer for answer in answers)
        assert slow.collections < 100
        before = slow.collections
        assert b"collections %d.0" % (before + 1) in ask(server, "/metrics").body
        assert b"collections %d.0" % (before + 2) in ask(server, "/metrics").body


def test_clients_that_name_ever_more_versions_take_no_memory() -> None:
    """Each version that a client names in `Accept` is another type of answer."""
    answers = Answers()
    with Flask("x").test_request_context():
        for number in range(100):
            assert answers.text(f"version=1.0.{number}", lambda: b"metrics") == b"metrics"
    assert len(answers._made) <= MOST_TYPES


def test_the_status_is_made_once_for_many_requests_and_never_before_the_request() -> None:
    made = itertools.count(1)
    with (
        served(make_app(Status(), CollectorRegistry(), lambda: {"made": next(made)})) as server,
        ExitStack() as crowd,
    ):
        socks = [crowd.enter_context(connected(server)) for _ in range(200)]
        for sock in socks:
            sock.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert all(b'"made":' in to_its_end(sock) for sock in socks)
        first = json.loads(ask(server, "/status").body)["made"]
        assert first < 100
        assert json.loads(ask(server, "/status").body)["made"] == first + 1


def test_a_probe_does_not_wait_for_the_metrics_of_others() -> None:
    """Each other answer is made only when the probes that have come are answered."""
    asked: list[socket.socket] = []
    answered: list[int] = []

    def ask_for_health() -> None:
        if slow.collections == 1:
            probe = crowd.enter_context(connected(server))
            probe.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            asked.append(probe)

    def answer_of_the_probe() -> None:
        eventually(lambda: asked)
        assert b'{"status":"ok"}' in to_its_end(asked[0])
        answered.append(sum(not ready(sock) for sock in socks))

    slow = Slow(ask_for_health)
    with served_with(slow) as server, ExitStack() as crowd:
        socks = [crowd.enter_context(connected(server)) for _ in range(300)]
        waiting = gevent.spawn(answer_of_the_probe)
        for sock in socks:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting.get(timeout=PATIENCE)
        assert answered[0] > 150, "still waiting when the probe was answered"
        for sock in socks:
            to_its_end(sock)


def ready(sock: socket.socket) -> bool:
    """Whether something has arrived."""
    return bool(select.select([sock], [], [], 0)[0])


def test_a_client_that_does_not_read_does_not_delay_other_requests() -> None:
    """The metrics are large here, so that they do not fit into the buffers of the sockets."""

    class Large(Slow):
        def collect(self) -> Iterator[Any]:
            yield GaugeMetricFamily("large", "x" * 20_000_000, value=1)

    with served_with(Large()) as server, connected(server) as idle:
        idle.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: ready(idle))
        began = time.monotonic()
        assert ask(server, "/nothing").code == 404
        assert time.monotonic() - began < health.CONNECTION_SECONDS


def test_with_too_many_connections_those_for_metrics_are_closed_and_no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_CONNECTIONS", 20)
    held = gevent.event.Event()
    slow = Slow(held.wait)
    with served_with(slow) as server, ExitStack() as crowd:
        late = crowd.enter_context(connected(server))
        eventually(lambda: len(server._connections) == 1)
        socks = [crowd.enter_context(connected(server)) for _ in range(19)]
        for sock in socks:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: len(server._turns.waiting) == 19)
        for _ in range(5):
            crowd.enter_context(connected(server))
        eventually(lambda: len(server._turns.waiting) == 14)
        late.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'{"status":"ok"}' in to_its_end(late)
        held.set()


def test_a_port_in_use(server: HealthServer) -> None:
    with pytest.raises(ListenError) as caught:
        HealthServer("127.0.0.1", server.port, make_app(Status(), CollectorRegistry(), dict))
    text = str(caught.value)
    assert text.startswith(f"cannot listen on 127.0.0.1:{server.port}: Address already in use; choose another")
    assert text.isprintable()
    assert ListenError.exit_code == 78


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("name.invalid", 8080),
        ("999.1.1.1", 8080),
        ("203.0.113.7", 8080),
        ("::g", 8080),
        ("127.0.0.1", 65_536),
        ("127.0.0.1", -1),
        ("a..b", 8080),
        ("nul\0byte", 8080),
    ],
)
def test_an_address_that_cannot_be_listened_on(host: str, port: int) -> None:
    with pytest.raises(ListenError) as caught:
        HealthServer(host, port, make_app(Status(), CollectorRegistry(), dict))
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith("cannot listen on ")


def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6")
    app = make_app(Status(), CollectorRegistry(), dict)
    with served(app, "::1") as server, socket.create_connection(("::1", server.port)) as sock:
        sock.sendall(HEALTH + b"\r\n")
        assert to_its_end(sock).startswith(b"HTTP/1.1 200 ")


def test_the_start_asks_no_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name service that does not answer would hold up the start until its time-out."""

    def asked(*_: Any) -> str:
        raise AssertionError

    for name in ("getfqdn", "gethostbyaddr", "gethostname"):
        monkeypatch.setattr(socket, name, asked)
        monkeypatch.setattr(gevent.socket, name, asked, raising=False)
    with served(make_app(Status(), CollectorRegistry(), dict)) as server:
        assert ask(server, "/health").code == 200


def test_it_listens_before_it_serves() -> None:
    """So nothing else has begun when the port is in use. A client that connects early is answered later."""
    server = HealthServer("127.0.0.1", 0, make_app(Status(), CollectorRegistry(), dict))
    with connected(server) as sock:
        sock.sendall(HEALTH + b"\r\n")
        serving = gevent.spawn(server.serve)
        assert to_its_end(sock).startswith(b"HTTP/1.1 200 ")
        server.stop()
        serving.get(timeout=PATIENCE)


def test_stop_releases_the_port_and_the_connections(status: Status) -> None:
    app = make_app(status, CollectorRegistry(), dict)
    server = HealthServer("127.0.0.1", 0, app)
    serving = gevent.spawn(server.serve)
    assert ask(server, "/health").code == 200
    with connected(server) as sock:
        gevent.sleep(0.02)
        began = time.monotonic()
        server.stop()
        server.stop()
        serving.get(timeout=PATIENCE)
        assert time.monotonic() - began < 10
        assert to_its_end(sock) == b""
    again = HealthServer("127.0.0.1", server.port, app)
    again.stop()


def test_after_stop_serve_does_not_listen_again() -> None:
    server = HealthServer("127.0.0.1", 0, make_app(Status(), CollectorRegistry(), dict))
    server.stop()
    serving = gevent.spawn(server.serve)
    serving.get(timeout=PATIENCE)
    with pytest.raises(ConnectionRefusedError):
        connected(server)
