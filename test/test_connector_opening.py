"""Opening a connection: the request before it, the address that is connected to, its headers and its subprotocol."""

from __future__ import annotations

import base64
import email.utils
import gzip
import json
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
import pytest
from exchange_server import Authority, Peer, Request, accepting, dripping, eventually, flooding, serving
from proxies import http_proxy, socks_proxy

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.opening import ANSWER_BYTES
from ssmd.connector.websocket import WebSocketConnector
from ssmd.contracts.exchange import Opening
from ssmd.contracts.http import HttpRequest
from ssmd.errors import AuthError, ConfigError, ConnectError
from ssmd.exchange.generic.connection import GenericConnection
from ssmd.exchange.generic.description import EMPTY

NOW = 1_767_225_600.25
KEY = "canary-0123456789abcdef-canary"


@pytest.fixture(autouse=True)
def no_proxy_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass
class Plan:
    """What a test's dialect does before the connection."""

    url: str = ""
    """Of the request; empty for none."""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Key": KEY})
    body: bytes | None = b'{"key":"%s"}' % KEY.encode()
    signed: bool = True
    opening: Callable[[str, dict[str, str]], Opening] = lambda endpoint, found: Opening(endpoint)


class Prepared(GenericConnection):
    """A dialect that asks for values before the connection, which its answer holds as JSON."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(EMPTY, {}, {}, None)
        self.plan = plan
        self.found: dict[str, str] = {}

    def prepare(self, now_ms: int) -> HttpRequest | None:
        plan = self.plan
        if not plan.url:
            return None
        headers = {**plan.headers, "X-Time": str(now_ms)}
        return HttpRequest(plan.method, plan.url, headers, plan.body, [KEY], plan.signed)

    def prepared(self, answer: bytes) -> None:
        try:
            self.found = json.loads(answer)
        except ValueError:
            raise ConnectError("the answer is not JSON") from None
        if "token" not in self.found:
            raise ConnectError("the answer has no token")

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return self.plan.opening(endpoint, self.found)


def connector(endpoint: str, plan: Plan, **options: Any) -> WebSocketConnector:
    config = WebSocketConfig(endpoint=endpoint)
    return WebSocketConnector(endpoint, Prepared(plan), config, **({"connect_seconds": 5} | options))


def refused(endpoint: str, plan: Plan, kind: type[ConnectError] = ConnectError, **options: Any) -> str:
    """Return the error text of connect(), which must fail on one line, without any piece of the key."""
    with pytest.raises(ConnectError) as caught:
        connector(endpoint, plan, **options).connect()
    assert type(caught.value) is kind
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    assert "canary" not in text
    return text


# The request before the connection.


def body_of(peer: Peer, request: Request) -> bytes:
    return peer.read(int(request.headers.get("Content-Length", "0")))


def response(body: bytes, status: str = "200 OK", fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join([b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]) + last


TOKEN = b'{"token":"t0ken"}'


def answering(answer: bytes, *, stays: bool = True) -> Callable[[Peer], Any]:
    """A script that answers a request, and the handshake of another connection."""

    def script(peer: Peer) -> Any:
        request = peer.request()
        if "Sec-WebSocket-Key" in request.headers:
            peer.send(accepting(request))
            return request, peer.received()
        body = body_of(peer, request)
        peer.send(answer)
        return request, body, peer.drained() if stays else b""

    return script


def preparing(answer: bytes | Callable[[Peer], Any], kind: type[ConnectError] = ConnectError, **options: Any) -> str:
    """Return why a connection could not be prepared, without the beginning of the sentence."""
    script = answering(answer) if isinstance(answer, bytes) else answer
    with serving(script) as server:
        plan = Plan(f"http://127.0.0.1:{server.port}/{KEY}?key={KEY}", signed=options.pop("signed", True))
        text = refused(server.url, plan, kind, **options)
        assert server.connections == 1
        begin = f"cannot prepare the connection: http://127.0.0.1:{server.port}"
    assert text.startswith(begin)
    return text.removeprefix(begin)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_answer_holds_opens_the_connection(method: str) -> None:
    def opening(endpoint: str, found: dict[str, str]) -> Opening:
        return Opening(f"{endpoint}?token={found['token']}", {"X-Token": found["token"]})

    with serving(answering(response(TOKEN))) as server:
        url = f"http://127.0.0.1:{server.port}/bullet/private?a=b%20c"
        plan = Plan(url, method, body=None if method == "GET" else b"{}", opening=opening)
        feed = connector(server.url, plan, wall_clock=lambda: NOW)
        feed.connect()
        feed.close()
        request, body, _ = server.result(0)
        handshake, _ = server.result(1)
    assert request.line == f"{method} /bullet/private?a=b%20c HTTP/1.1"
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["X-Key"] == KEY
    assert request.headers["X-Time"] == "1767225600250"
    assert body == (b"" if method == "GET" else b"{}")
    assert handshake.line == "GET /feed/v1?token=t0ken HTTP/1.1"
    assert handshake.headers["X-Token"] == "t0ken"


def test_a_url_without_a_path() -> None:
    with serving(answering(response(TOKEN))) as server:
        feed = connector(server.url, Plan(f"http://127.0.0.1:{server.port}?now=1"))
        feed.connect()
        feed.close()
        assert server.result(0)[0].line == "POST /?now=1 HTTP/1.1"


@pytest.mark.parametrize(
    "answer",
    [
        chunked(TOKEN),
        chunked(*[TOKEN[at : at + 1] for at in range(len(TOKEN))]),
        chunked(TOKEN, last=b"0\r\nX-Trailer: x\r\n\r\n"),
        response(gzip.compress(TOKEN), fields="Content-Encoding: gzip\r\n"),
        response(zlib.compress(TOKEN), fields="Content-Encoding: deflate\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + response(TOKEN),
        response(TOKEN, "201 Created") + b"further bytes",
        response(TOKEN).replace(b"\r\n", b"\n", 1),
        b"HTTP/1.0 200\r\n\r\n" + TOKEN,
        response(TOKEN + b" " * (ANSWER_BYTES - len(TOKEN))),
    ],
    ids=["chunked", "byte by byte", "trailer", "gzip", "deflate", "continue", "201", "LF", "no length", "longest"],
)
def test_answers_of_every_form_are_read(answer: bytes) -> None:
    with serving(answering(answer, stays=b"Content-Length" in answer or b"chunked" in answer)) as server:
        feed = connector(server.url, Plan(f"http://127.0.0.1:{server.port}/"))
        feed.connect()
        feed.close()
        assert server.connections == 2


GOOD_TO_BAD: dict[str, tuple[bytes, str]] = {
    "HTML": (response(b"<html>please log in</html>", fields="Content-Type: text/html\r\n"), "the answer is not JSON"),
    "nothing": (response(b""), "the answer is not JSON"),
    "no token": (response(b'{"secret":"%s"}' % KEY.encode()), "the answer has no token"),
    "too long": (response(b" " * (ANSWER_BYTES + 1)), f"its answer is longer than {ANSWER_BYTES:,} bytes"),
    "1 GB": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
        f"its answer is longer than {ANSWER_BYTES:,} bytes",
    ),
    "more digits than a number has": (
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        "no answer within 0.5 s",
    ),
    "a chunk of 1 TB": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n{",
        "no answer within 0.5 s",
    ),
    "a bomb": (
        response(gzip.compress(b" " * 3_000_000), fields="Content-Encoding: gzip\r\n"),
        f"its answer is longer than {ANSWER_BYTES:,} bytes",
    ),
    "not gzip": (
        response(TOKEN, fields="Content-Encoding: gzip\r\n"),
        "its answer is compressed in a way that was not asked for, or damaged",
    ),
    "Brotli": (
        response(b"\x8b", fields="Content-Encoding: br\r\n"),
        "its answer is compressed in a way that was not asked for, or damaged",
    ),
    "an endless line": (b"HTTP/1.1 200 " + b"x" * 200_000, "its answer does not end"),
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "it does not answer in HTTP"),
    "not HTTP": (b"220 mail.example ESMTP \x1b[2J " + KEY.encode() + b"\r\n\r\n", "it does not answer in HTTP"),
    "no chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "its answer is cut off"),
}


@pytest.mark.parametrize(("answer", "expected"), GOOD_TO_BAD.values(), ids=GOOD_TO_BAD)
def test_answers_that_are_not_what_they_should_be(answer: bytes, expected: str) -> None:
    assert preparing(answer, connect_seconds=0.5 if "0.5" in expected else 5) == f": {expected}"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", "it hung up without an answer"),
        (b"HTTP/1.1 200 O", "the answer is not JSON"),
        (response(TOKEN)[:-5], f"its answer is cut off after 12 of {len(TOKEN)} bytes"),
        (chunked(TOKEN)[:-5], "its answer is cut off"),
        (chunked(TOKEN)[:-20], "its answer is cut off"),
    ],
)
def test_answers_that_end_too_early(answer: bytes, expected: str) -> None:
    assert preparing(answering(answer, stays=False)) == f": {expected}"


def test_a_reset_instead_of_an_answer() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    assert "Connection reset by peer" in preparing(script) or "hung up" in preparing(script)


@pytest.mark.parametrize(
    "script",
    [lambda peer: peer.drained(), dripping(response(b" " * 500)), dripping(b"HTTP/1.1 200 OK\r\n" + b"X" * 900)],
    ids=["never an answer", "a dripped body", "a dripped head"],
)
def test_one_deadline_covers_all(script: Callable[[Peer], Any]) -> None:
    began = time.monotonic()
    assert preparing(script, connect_seconds=0.4) == ": no answer within 0.4 s"
    assert time.monotonic() - began < 10


def test_the_time_of_the_request_is_not_given_to_the_connection_again() -> None:
    """The exchange answers after most of the time, and is then silent."""

    def script(peer: Peer) -> None:
        request = peer.request()
        if "Sec-WebSocket-Key" in request.headers:
            peer.drained()
        gevent.sleep(1.5)
        peer.send(response(TOKEN))

    with serving(script) as server:
        began = time.monotonic()
        text = refused(server.url, Plan(f"http://127.0.0.1:{server.port}/"), connect_seconds=3)
        assert time.monotonic() - began < 4.4, "as long as a second deadline would last"
    assert text == f"cannot connect to {server.url}: no answer within 3 s"


@pytest.mark.parametrize(
    ("begin", "piece", "expected"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "its answer does not end"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000, f"its answer is longer than {ANSWER_BYTES:,} bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n" * 1000, "its answer is longer than"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000, "its answer is longer"),
        (b"HTTP/1.1 500 No\r\n\r\n", b"y" * 5000, "it answered 500 Internal Server Error: yyyyy"),
        (b"HTTP/1.1 500 No\r\n\r\n", b"", "it answered 500 Internal Server Error"),
    ],
    ids=["100 Continue", "body", "chunks", "trailers", "the body of a refusal", "a refusal without an end"],
)
def test_an_endless_answer_is_not_read_to_its_end(begin: bytes, piece: bytes, expected: str) -> None:
    script = flooding(begin, piece) if piece else answering(begin)
    with serving(script) as server:
        plan = Plan(f"http://127.0.0.1:{server.port}/")
        assert f": {expected}" in refused(server.url, plan, connect_seconds=20 if piece else 0.4)
        server.result()
        assert server.peers[0].sent < 32 << 20, "more than sockets buffer"


def test_a_bomb_takes_little_memory() -> None:
    bomb = response(gzip.compress(b" " * 50_000_000), fields="Content-Encoding: gzip\r\n")
    tracemalloc.start()
    try:
        preparing(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


# Refusals.


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_keys_that_are_refused(status: str) -> None:
    text = preparing(response(b"no key " + KEY.encode(), status), AuthError)
    assert text.startswith(f" refused the keys: {status}: no key (hidden); check ")
    assert AuthError.exit_code == 77


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("403 Forbidden", " refused this host: 403 Forbidden: no; no keys were sent, so check where it connects from"),
        ("401 Unauthorized", " demands keys: 401 Unauthorized: no; this feed's dialect sends none with this request"),
    ],
)
def test_a_refusal_without_keys_is_not_about_keys(status: str, expected: str) -> None:
    assert preparing(response(b"no", status), signed=False) == expected


@pytest.mark.parametrize(
    ("status", "fields", "wait"),
    [
        ("429 Too Many Requests", "", 30),
        ("429 Too Many Requests", "Retry-After: 7\r\n", 7),
        ("429 Too Many Requests", f"retry-after: {email.utils.formatdate(NOW + 40, usegmt=True)}\r\n", 40),
        ("503 Service Unavailable", "Retry-After: 7\r\n", 7),
        ("500 Internal Server Error", "", 0),
        ("404 Not Found", "", 0),
        ("304 Not Modified", "", 0),
    ],
)
def test_other_refusals(status: str, fields: str, wait: float) -> None:
    body = b"" if status.startswith("304") else b'{"code":"429000",\r\n"msg":"' + KEY.encode() + b'"}'
    with serving(answering(response(body, status, fields))) as server:
        plan = Plan(f"http://127.0.0.1:{server.port}/")
        with pytest.raises(ConnectError) as caught:
            connector(server.url, plan, wall_clock=lambda: NOW).connect()
    text = str(caught.value)
    assert f": it answered {status}" in text
    assert ('{"code":"429000", "msg":"(hidden)"}' in text) == bool(body)
    assert caught.value.wait_seconds == pytest.approx(wait, abs=1)


@pytest.mark.parametrize(
    "answer",
    [
        response(gzip.compress(b"slow down"), "429 No", "Content-Encoding: gzip\r\n"),
        chunked(b"slow", b" down").replace(b"200 OK", b"429 No"),
        b"HTTP/1.1 429 No\r\nContent-Length: 1000\r\n\r\nslow down",
        b"HTTP/1.1 429 No\r\nContent-Length: x\r\n\r\nslow down",
        chunked(b"slow down", last=b"xyz\r\n").replace(b"200 OK", b"429 No"),
    ],
    ids=["gzip", "chunked", "shorter than it says", "no length", "broken chunks"],
)
@pytest.mark.parametrize("stays", [True, False])
def test_the_body_of_a_refusal_is_quoted_in_every_form(answer: bytes, stays: bool) -> None:
    text = preparing(answering(answer, stays=stays), connect_seconds=0.4)
    assert text == ": it answered 429 Too Many Requests: slow down"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """The key would go to the host that is named there."""
    with serving(answering(response(TOKEN))) as target:
        place = f"Location: http://127.0.0.1:{target.port}/{KEY}?key={KEY}\r\n"
        text = preparing(response(b"", f"{status} Elsewhere", place))
        gevent.sleep(0.05)
        assert target.connections == 0
    assert f": it redirects to http://127.0.0.1:{target.port}/(hidden) ({status}), which is never followed" in text


def test_a_refused_port_and_a_host_that_cannot_be_resolved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    text = refused("ws://127.0.0.1:9/", Plan(f"http://127.0.0.1:{port}/{KEY}"))
    assert text == f"cannot prepare the connection: http://127.0.0.1:{port}: Connection refused"
    text = refused("ws://127.0.0.1:9/", Plan(f"http://{KEY}.invalid/"), connect_seconds=14)
    assert text.startswith("cannot prepare the connection: http://...: its host name cannot be resolved")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://host/", "its address must begin with https://, not with ftp://"),
        (f"{KEY}://host/", "its address must begin with https://, not with (hidden)://"),
        (KEY, "its address must begin with https://"),
        (f"https://user:{KEY}@host/", "its address must not hold a user name or a password"),
        (f"https://host/{KEY}\r\nX: y", "its address must be a URL in plain ASCII without spaces"),
        (f"https://host/{KEY} x", "its address must be a URL in plain ASCII without spaces"),
        (f"https://host:{KEY}/", "its address must have a valid host, and a port from 1 to 65535 if any"),
    ],
)
def test_an_address_that_cannot_be_requested(url: str, expected: str) -> None:
    begin = "cannot prepare the connection: ws://127.0.0.1:9/feed: "
    assert refused("ws://127.0.0.1:9/feed", Plan(url)).startswith(begin + expected)


@pytest.mark.parametrize("value", [f"{KEY}\r\nX-Forged: x", f"\N{SNOWMAN}{KEY}", f"{KEY}\x00"])
def test_a_header_that_would_forge_another_one(value: str) -> None:
    with serving(answering(response(TOKEN))) as server:
        wrong = "its header X-Secret has a character that no header may have"
        text = refused(server.url, Plan(f"http://127.0.0.1:{server.port}/", headers={"X-Secret": value}))
        assert text == f"cannot prepare the connection: {server.url}: {wrong}"
        text = refused(server.url, Plan(opening=lambda endpoint, found: Opening(endpoint, {"X-Secret": value})))
        assert text == f"cannot connect to {server.url}: {wrong}"
        assert server.connections == 0


def test_close_ends_the_request() -> None:
    with serving(lambda peer: peer.drained()) as server:
        feed = connector(server.url, Plan(f"http://127.0.0.1:{server.port}/"))
        connecting = gevent.spawn(pytest.raises, ConnectError, feed.connect)
        eventually(lambda: server.peers)
        gevent.sleep(0.02)
        began = time.monotonic()
        feed.close()
        assert str(connecting.get().value).startswith("cannot prepare the connection: ")
        assert time.monotonic() - began < 4


# TLS and proxies.


def test_the_request_over_tls(authority: Authority) -> None:
    with serving(answering(response(b" " * 200_000 + TOKEN)), tls=authority.context()) as server:
        plan = Plan(f"https://127.0.0.1:{server.port}/", body=b"b" * 500_000)
        feed = connector(server.url, plan)
        feed.connect()
        feed.close()
        assert server.result(0)[1] == b"b" * 500_000


def test_the_certificate_of_another_host(authority: Authority) -> None:
    with serving(answering(response(TOKEN)), tls=authority.context("exchange.test")) as server:
        text = refused(server.url, Plan(f"https://127.0.0.1:{server.port}/"))
        assert isinstance(server.result(), OSError), "the key was sent"
    begin = f"cannot prepare the connection: https://127.0.0.1:{server.port}: its TLS certificate is not valid: "
    assert text.startswith(begin)


def test_tls_to_a_server_without_it() -> None:
    def script(peer: Peer) -> Any:
        peer.sock.recv(100)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return peer.drained()

    with serving(script) as server:
        assert ": TLS failed: " in refused("wss://127.0.0.1:9/", Plan(f"https://127.0.0.1:{server.port}/"))


@pytest.mark.parametrize("proxy", [http_proxy, socks_proxy], ids=["HTTP", "SOCKS5"])
def test_each_address_goes_through_the_proxy_of_its_own_scheme(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, proxy: Callable[..., Any]
) -> None:
    """The request goes over TLS and through a proxy, the connection without either."""
    seen: list[str] = []
    with (
        serving(answering(response(TOKEN)), tls=authority.context("exchange.test")) as secure,
        serving(answering(response(TOKEN))) as server,
        serving(proxy(seen, to=("127.0.0.1", secure.port))) as through,
    ):
        scheme = "http" if proxy is http_proxy else "socks5h"
        monkeypatch.setenv("https_proxy", f"{scheme}://127.0.0.1:{through.port}")
        feed = connector(server.url, Plan("https://exchange.test/token"))
        feed.connect()
        feed.close()
        assert secure.result()[0].headers["Host"] == "exchange.test"
        assert (secure.connections, server.connections, through.connections) == (1, 1, 1)
    assert "exchange.test:443" in seen[0]


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://{KEY}:{KEY}@127.0.0.1:9")
    text = refused("ws://127.0.0.1:9/", Plan("https://exchange.test/"))
    place = "https://exchange.test through the proxy http://127.0.0.1:9"
    assert text == f"cannot prepare the connection: {place}: the proxy cannot be reached: Connection refused"


def test_a_proxy_that_cannot_be_used_is_found_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "ftp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="names a proxy of a kind that ssmd cannot use"):
        connector("wss://${prepared.host}/?${prepared.token}", Plan())


# The address of the connection.

ENDPOINT = "wss://${prepared.host}/v1/${key.api_key}/feed?token=${prepared.token}"


def going_to(url: str, endpoint: str = ENDPOINT, prepare: str = "", hidden: tuple[str, ...] = (KEY,)) -> str:
    plan = Plan(prepare, opening=lambda endpoint, found: Opening(url, hidden=hidden))
    return refused(endpoint, plan, connect_seconds=14)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host/", "its address must begin with wss://, not with http://"),
        ("ws://host/", "its address must begin with wss://, not with ws://"),
        ("javascript:alert(1)", "its address must begin with wss://"),
        ("", "its address must begin with wss://"),
        ("\x1b[31m\r\nforged://host/", "its address must begin with wss://, not with [31m forged://"),
        (f"{KEY}{'x' * 500}://host/", "its address must begin with wss://, not with (hidden)xxxxxxxxxxx…://"),
        ("wss://host/\r\nGET / HTTP/1.1", "its address must be a URL in plain ASCII without spaces"),
        ("wss://host/\x00", "its address must be a URL in plain ASCII without spaces"),
        ("wss://h\u00f6st/", "its address must be a URL in plain ASCII without spaces"),
        (f"wss://user:{KEY}@host/", "its address must not hold a user name or a password"),
        ("wss://exchange.test\\@host/", "its address must not hold a user name or a password"),
        ("wss:///path", "its address must be the URL of a websocket"),
        ("wss://host:99999/", "its address must have a valid host, and a port from 1 to 65535 if any"),
        ("wss://host:0/", "its address must have a valid host, and a port from 1 to 65535 if any"),
        ("wss://[::1/", "its address must have a valid host, and a port from 1 to 65535 if any"),
        ("wss://host/#fragment", "its address must not have a fragment"),
    ],
)
def test_an_address_that_is_not_connected_to(url: str, expected: str) -> None:
    """It may come from an answer over HTTP, which is not trusted."""
    begin = "cannot connect to wss://.../v1/.../feed: "
    assert going_to(url).startswith(begin + expected)


def test_an_address_without_tls_is_connected_to_only_when_the_feed_itself_does_without() -> None:
    def opening(to: str) -> Callable[[str, dict[str, str]], Opening]:
        return lambda endpoint, found: Opening(to)

    with serving(answering(response(TOKEN))) as server:
        prepare = f"http://127.0.0.1:{server.port}/"
        for endpoint, url in ((ENDPOINT, prepare), ("ws://${prepared.host}/", ""), ("WS://127.0.0.1:9/", "")):
            feed = connector(endpoint, Plan(url, opening=opening(server.url)))
            feed.connect()
            feed.close()
        assert "must begin with wss://, not with ws://" in refused(ENDPOINT, Plan(opening=opening(server.url)))


def test_an_address_without_tls_is_not_connected_to_after_a_request_with_it(authority: Authority) -> None:
    with serving(answering(response(TOKEN)), tls=authority.context()) as server:
        plan = Plan(f"https://127.0.0.1:{server.port}/", opening=lambda endpoint, found: Opening("ws://127.0.0.1:9/"))
        text = refused(ENDPOINT, plan)
    assert text.endswith("its address must begin with wss://, not with ws://")


@pytest.mark.parametrize(
    ("url", "endpoint", "shown"),
    [
        (f"wss://a.invalid/v1/{KEY}/feed?token={KEY}", ENDPOINT, "wss://a.invalid/v1/.../feed"),
        (f"wss://a.invalid/{KEY}?{KEY}", "${prepared.endpoint}?token=${prepared.token}", "wss://a.invalid..."),
        (f"wss://{KEY}.invalid/", "wss://${key.account}.invalid/", "wss://.../"),
        (f"wss://{KEY.upper()}.invalid/", "wss://${prepared.host}/", "wss://.../"),
        ("wss://eu.invalid/", "wss://${key.region}.invalid/", "wss://.../"),
    ],
)
def test_an_address_is_shown_without_what_was_filled_in(url: str, endpoint: str, shown: str) -> None:
    assert going_to(url, endpoint).startswith(f"cannot connect to {shown}: its host name cannot be resolved")


def test_tls_is_verified_for_the_host_that_is_connected_to(authority: Authority) -> None:
    with serving(answering(response(TOKEN)), tls=authority.context("exchange.test")) as server:
        assert "its TLS certificate is not valid" in going_to(server.url, "wss://exchange.test/")
    with serving(answering(response(TOKEN)), tls=authority.context()) as server:
        feed = connector("wss://exchange.test/", Plan(opening=lambda endpoint, found: Opening(server.url)))
        feed.connect()
        feed.close()


@pytest.mark.parametrize(
    ("endpoint", "logged"),
    [("ws://${prepared.host}/a?${key.token}", True), ("ws://exchange.test/a", True), ("ws://127.0.0.1:1/a", False)],
)
def test_another_host_is_connected_to_and_logged(
    caplog: pytest.LogCaptureFixture, endpoint: str, logged: bool
) -> None:
    caplog.set_level("INFO")
    with serving(answering(response(TOKEN))) as server:
        plan = Plan(opening=lambda endpoint, found: Opening(f"{server.host}/a?{KEY}", hidden=[KEY]))
        feed = connector(endpoint, plan)
        feed.connect()
        feed.close()
    hosts = [record.host for record in caplog.records if "host" in vars(record)]  # type: ignore[attr-defined]
    assert hosts == ([f"{server.host}/a"] if logged else [])


# The subprotocol.


def choosing(fields: str) -> Callable[[Peer], Any]:
    def script(peer: Peer) -> Any:
        request = peer.upgrade(fields=fields)
        return request, peer.received()

    return script


def test_the_subprotocol_is_asked_for() -> None:
    with serving(choosing("Sec-WebSocket-Protocol: json.v2\r\n")) as server:
        feed = connector(server.url, Plan(opening=lambda endpoint, found: Opening(endpoint, subprotocol="json.v2")))
        feed.connect()
        feed.close()
        assert server.result()[0].headers["Sec-WebSocket-Protocol"] == "json.v2"


@pytest.mark.parametrize(
    ("fields", "does"),
    [
        ("", "it chose no subprotocol"),
        ("Sec-WebSocket-Protocol: \r\n", "it chose no subprotocol"),
        ("Sec-WebSocket-Protocol: xml\r\n", "it chose the subprotocol xml"),
        (f"Sec-WebSocket-Protocol: {KEY}\r\n", "it chose the subprotocol (hidden)"),
    ],
)
def test_a_subprotocol_that_the_exchange_does_not_choose(fields: str, does: str) -> None:
    with serving(choosing(fields)) as server:
        plan = Plan(opening=lambda endpoint, found: Opening(endpoint, subprotocol="json", hidden=[KEY]))
        text = refused(server.url, plan)
        assert server.result()[1] == [], "the connection was left open"
    assert text == f"cannot connect to {server.url}: {does}, but the feed's dialect asks for json"


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    with serving(choosing("")) as server:
        feed = connector(server.url, Plan())
        feed.connect()
        feed.close()
        names = server.result()[0].names
    assert not {"sec-websocket-protocol", "origin", "cookie", "sec-websocket-extensions"} & names


def test_a_key_that_is_repeated_in_another_form_of_the_address_is_not_shown() -> None:
    """The handshake is refused with the whole request in the body."""

    def script(peer: Peer) -> None:
        request = peer.request()
        peer.send(response(f"{request.line} {base64.b64encode(KEY.encode()).decode()}".encode(), "400 Bad Request"))

    with serving(script) as server:
        plan = Plan(opening=lambda endpoint, found: Opening(f"{server.host}/{KEY}?k={KEY}", hidden=[KEY]))
        assert ": it answered 400 Bad Request: GET /(hidden)?k=(hidden) " in refused("ws://127.0.0.1/${key.a}", plan)
