"""The connector against a scripted server: what it sends, how it reports every refusal and end, and when."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.event
import pytest
from exchange_server import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Authority,
    Peer,
    accepting,
    close_frame,
    eventually,
    frame,
    lists_of,
    serving,
)
from gevent import monkey
from websocket._socket import DEFAULT_SOCKET_OPTION

from ssmd.connector import dial, sender, websocket
from ssmd.connector.config import WebSocketConfig
from ssmd.connector.websocket import WebSocketConnector
from ssmd.contracts.exchange import Opening
from ssmd.errors import AuthError, ConnectError, Disconnected, SsmdError, SubscriptionRefused
from ssmd.exchange.generic.connection import GenericConnection
from ssmd.exchange.generic.description import EMPTY

NOW = 1_767_225_600.25


@pytest.fixture(autouse=True)
def no_proxy_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def signed(endpoint: str, signature: str) -> Opening:
    return Opening(endpoint, {"X-Signed": signature}, hidden=[signature], signed=True)


def unsigned() -> GenericConnection:
    return GenericConnection(EMPTY, {}, {}, None)


class Signing(GenericConnection):
    """A dialect with a signature that tests can read."""

    tick_seconds: float | None = None

    def __init__(self, *commands: bytes, tick_seconds: float | None = None) -> None:
        super().__init__(EMPTY, {}, {}, None)
        self._texts = list(commands)
        self.tick_seconds = tick_seconds

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return signed(endpoint, f"{urlsplit(endpoint).path or '/'}@{now_ms}")

    def commands(self) -> Sequence[bytes]:
        return self._texts


def connector(url: str, *commands: bytes, tick_seconds: float | None = None, **options: Any) -> WebSocketConnector:
    own = {name: options.pop(name) for name in list(options) if name in WebSocketConfig.keys_known()}
    config = WebSocketConfig(endpoint=url, **own)
    exchange = Signing(*commands, tick_seconds=tick_seconds)
    return WebSocketConnector(url, exchange, config, **({"connect_seconds": 5} | options))


def collect(feed: WebSocketConnector) -> tuple[list[bytes], str | None]:
    """Return all messages, and how the connection ended: None when messages() returned."""
    received: list[bytes] = []
    end = read(feed, received.extend)
    return received, end


def read(feed: WebSocketConnector, each: Callable[[list[bytes]], None]) -> str | None:
    """Call `each` with every list that is yielded; return how the connection ended, None when messages() returned."""
    try:
        for payloads in lists_of(feed):
            each(payloads)
    except Disconnected as end:
        return str(end)
    finally:
        feed.close()
    return None


def refusal(url: str, kind: type[ConnectError] = ConnectError, **options: Any) -> str:
    return refused(connector(url, **options), kind)


def refused(feed: WebSocketConnector, kind: type[ConnectError] = ConnectError) -> str:
    """Return the error text of connect(), which must fail, and whose text must fit on one line."""
    with pytest.raises(ConnectError) as caught:
        feed.connect()
    assert type(caught.value) is kind
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600
    return text


def answering(answer: bytes) -> Callable[[Peer], Any]:
    """A script that answers the handshake with these bytes, and then waits until the client leaves."""

    def script(peer: Peer) -> Any:
        peer.request()
        peer.send(answer)
        return peer.drained()

    return script


def response(status: str, body: bytes = b"", fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


# What is sent.


def upgrading(peer: Peer) -> Any:
    request = peer.upgrade()
    return request, peer.received()


def test_the_handshake_is_signed_for_the_path_and_requests_the_query() -> None:
    with serving(upgrading) as server:
        feed = connector(f"{server.url}?depth=5&token=t%20", wall_clock=lambda: NOW)
        feed.connect()
        feed.close()
        request, _ = server.result()
    assert request.line == "GET /feed/v1?depth=5&token=t%20 HTTP/1.1"
    assert request.headers["X-Signed"] == "/feed/v1@1767225600250"
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["Upgrade"] == "websocket"
    assert not {"origin", "cookie", "authorization", "sec-websocket-extensions"} & request.names


def test_a_url_without_a_path_is_signed_for_the_root() -> None:
    with serving(upgrading) as server:
        feed = connector(server.host, wall_clock=lambda: NOW)
        feed.connect()
        feed.close()
        request, _ = server.result()
    assert request.line == "GET / HTTP/1.1"
    assert request.headers["X-Signed"].startswith("/@")


def test_commands_are_sent_in_order_and_close_sends_going_away() -> None:
    commands = [b'{"id":1}', '{"id":"\u00fc"}'.encode(), b'{"id":3,"x":"%s"}' % (b"y" * 300), b"{}"]
    with serving(upgrading) as server:
        feed = connector(server.url, *commands)
        feed.connect()
        feed.close()
        _, frames = server.result()
    assert frames == [(TEXT, command) for command in commands] + [(CLOSE, b"\x03\xe9")]


# Refusals.


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "401", "403 \x1b[31mNo"])
def test_keys_that_are_refused(status: str) -> None:
    body = b'{"error":"bad \x1b[31msignature\x1b[0m"}\r\nFORGED \xe2\x80\xa8line\x00\x07 \xff\xfe' + b"x" * 5000
    with serving(answering(response(status, body))) as server:
        text = refusal(server.url, AuthError)
    assert AuthError.exit_code == 77
    assert f"ws://127.0.0.1:{server.port}/feed/v1 refused the keys: {status[:3]} " in text
    assert '{"error":"bad  [31msignature [0m"} FORGED  line ' in text
    assert "x" * 50 in text
    assert "check that the keys belong together, and to this exchange" in text
    assert "clock" not in text


@pytest.mark.parametrize(
    ("skew", "expected"),
    [(0, None), (4, None), (-4, None), (61, "61 s ahead of"), (-3600, "3600 s behind"), (86400 * 400, "ahead of")],
)
def test_keys_that_are_refused_while_our_clock_is_wrong(skew: float, expected: str | None) -> None:
    date = email.utils.formatdate(NOW - 0.25 - skew, usegmt=True)
    with serving(answering(response("401 Unauthorized", b"no", f"Date: {date}\r\n"))) as server:
        text = refusal(server.url, AuthError, wall_clock=lambda: NOW - 0.25)
    assert "this host's clock is" in text if expected else "clock" not in text
    assert expected is None or expected in text


@pytest.mark.parametrize(
    "fields", ["", "Date: \r\n", "Date: yesterday\r\n", "Date: Mon, 99 Foo 99999 99:99:99 GMT\r\n", "Date: 1\r\n"]
)
def test_keys_that_are_refused_without_a_date_to_compare(fields: str) -> None:
    with serving(answering(response("403 Forbidden", b"no", fields))) as server:
        assert "clock" not in refusal(server.url, AuthError)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000000\r\n\r\nbad key",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9999999999999999999\r\n\r\nbad key" + b"!" * 200_000,
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: x\r\n\r\nbad key",
    ],
    ids=["shorter than it says", "endless", "no length"],
)
@pytest.mark.parametrize("hangs_up", [True, False])
def test_keys_that_are_refused_in_an_answer_with_an_incomplete_or_endless_body(answer: bytes, hangs_up: bool) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(answer)
        if not hangs_up:
            peer.drained()

    with serving(script) as server:
        text = refusal(server.url, AuthError, connect_seconds=0.4)
    assert "refused the keys: 401 Unauthorized" in text


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("429 Too Many Requests", "429 Too Many Requests: slow down"),
        ("421 Misdirected Request", "421 Misdirected Request: slow down"),
        ("500 Internal Server Error", "500 Internal Server Error: slow down"),
        ("503 whatever it says", "503 Service Unavailable: slow down"),
        ("404 Not Found", "404 Not Found: slow down"),
        ("200 OK", "200 OK: slow down"),
        ("204 No Content", "204 No Content: slow down"),
        ("407 Proxy Authentication Required", "407 Proxy Authentication Required: slow down"),
        ("799 Odd", "799 (unknown status): slow down"),
        ("9" * 4000, "9999… (unknown status): slow down"),
    ],
)
def test_other_statuses_are_reported_with_the_body(status: str, expected: str) -> None:
    with serving(answering(response(status, b"slow\ndown", "Set-Cookie: session=s3cr3t\r\n"))) as server:
        text = refusal(server.url)
    assert ConnectError.exit_code == 69
    assert text.startswith(f"cannot connect to ws://127.0.0.1:{server.port}/feed/v1: it answered ")
    assert text.endswith(expected)
    assert "s3cr3t" not in text


@pytest.mark.parametrize(
    ("status", "fields", "asked", "wait"),
    [
        (429, "Retry-After: 17\r\n", "; it asks for a wait of 17 s (Retry-After)", 17),
        (503, "Retry-After: 17\r\n", "; it asks for a wait of 17 s (Retry-After)", 17),
        (429, "retry-after:  0 \r\n", "; it asks for a wait of 0 s (Retry-After)", 0),
        (429, "Retry-After: 3600\r\n", "; it asks for a wait of 3600 s (Retry-After)", 60),
        (429, f"Retry-After: {'9' * 400}\r\n", "; it asks for a wait of 1000000000 s (Retry-After)", 60),
        (
            429,
            f"Retry-After: {email.utils.formatdate(NOW + 40, usegmt=True)}\r\n",
            "; it asks for a wait of 40 s (Retry-After)",
            40,
        ),
        (
            429,
            f"Retry-After: {email.utils.formatdate(NOW - 40, usegmt=True)}\r\n",
            "; it asks for a wait of 0 s (Retry-After)",
            0,
        ),
        (
            429,
            f"Date: {email.utils.formatdate(NOW + 7200, usegmt=True)}\r\n"
            f"Retry-After: {email.utils.formatdate(NOW + 7212, usegmt=True)}\r\n",
            "; it asks for a wait of 12 s (Retry-After)",
            12,
        ),
        (429, "", ": no", 30),
        (429, "Retry-After: \r\n", ": no", 30),
        (429, "Retry-After: -5\r\n", ": no", 30),
        (429, "Retry-After: soon\r\n", ": no", 30),
        (503, "", ": no", 0),
        (404, "", ": no", 0),
    ],
)
def test_a_server_that_asks_for_a_pause(status: int, fields: str, asked: str, wait: float) -> None:
    """It is shown as it was asked for, and kept up to a minute. A date is read by the server's clock, not by ours."""
    with serving(answering(response(f"{status} No", b"no", fields))) as server:
        feed = connector(server.url, wall_clock=lambda: NOW)
        with pytest.raises(ConnectError) as caught:
            feed.connect()
    assert str(caught.value).endswith(asked)
    assert caught.value.wait_seconds == pytest.approx(wait, abs=1)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("403 Forbidden", " refused this host: 403 Forbidden: no; no keys were sent, so check where it connects from"),
        ("401 Unauthorized", " demands keys: 401 Unauthorized: no; this feed's dialect sends none with the handshake"),
    ],
)
def test_a_refusal_of_a_feed_without_keys_is_not_about_keys(status: str, expected: str) -> None:
    with serving(answering(response(status, b"no"))) as server:
        feed = WebSocketConnector(server.url, unsigned(), WebSocketConfig(endpoint=server.url))
        assert refused(feed) == server.url + expected
    assert ConnectError.exit_code == 69


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize("keys", [True, False])
def test_a_server_that_refuses_keys_or_hosts_may_ask_for_a_pause_too(status: str, keys: bool) -> None:
    with serving(answering(response(status, b"no", "Retry-After: 17\r\n"))) as server:
        without = WebSocketConnector(server.url, unsigned(), WebSocketConfig(endpoint=server.url))
        feed = connector(server.url) if keys else without
        with pytest.raises(AuthError if keys else ConnectError) as caught:
            feed.connect()
    assert f"{status}: no; it asks for a wait of 17 s (Retry-After); " in str(caught.value)
    assert caught.value.wait_seconds == 17


def repeating(status: str) -> Callable[[Peer], None]:
    """A script whose answer repeats the signed header, across the place where a long text is cut."""

    def script(peer: Peer) -> None:
        signed = peer.request().headers["X-Signed"]
        body = f"{'.' * 190}{signed}".encode()
        peer.send(response(status, body, f"Location: /{signed}/there\r\nX-Request: {signed}\r\n"))

    return script


def repeating_in_a_close_frame(peer: Peer) -> None:
    signed = peer.upgrade().headers["X-Signed"]
    peer.send(close_frame(1008, f"no key {signed}".encode()))


@pytest.mark.parametrize(
    ("status", "kind"), [("401 No", AuthError), ("429 No", ConnectError), ("302 No", ConnectError)]
)
def test_signed_headers_that_a_server_repeats_are_hidden(status: str, kind: type[ConnectError]) -> None:
    with serving(repeating(status)) as server:
        text = refusal(server.url, kind, wall_clock=lambda: NOW)
    assert "(hidden)" in text
    assert "/feed/v1@" not in text


class LongSigning(Signing):
    """A dialect whose signature is as long as an RSA one, longer than a close frame."""

    SIGNATURE = base64.b64encode(bytes(range(256))).decode()

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return signed(endpoint, self.SIGNATURE)


@pytest.mark.parametrize("place", range(0, 344, 86))
def test_a_piece_of_a_signature_in_a_close_frame_is_hidden(place: int) -> None:
    piece = LongSigning.SIGNATURE[place : place + 86]

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.send(close_frame(1008, f"bad signature {piece}".encode()))

    with serving(script) as server:
        feed = WebSocketConnector(server.url, LongSigning(), WebSocketConfig(endpoint=server.url))
        feed.connect()
        _, end = collect(feed)
    assert end is not None
    assert end.endswith("code 1008, bad signature (hidden)")


def test_signed_headers_in_a_close_frame_are_hidden() -> None:
    with serving(repeating_in_a_close_frame) as server:
        feed = connector(server.url)
        feed.connect()
        _, end = collect(feed)
    assert end is not None
    assert end.endswith("code 1008, no key (hidden)")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with serving(upgrading) as target:
        place = f"Location: {target.url}?token=s3cr3t\r\n"
        with serving(answering(response(f"{status} Elsewhere", b"", place))) as server:
            text = refusal(server.url)
        gevent.sleep(0.05)
        assert target.connections == 0
    assert f"it redirects to {target.url} ({status}), which is never followed" in text
    assert "s3cr3t" not in text


def test_a_redirect_without_an_address_is_reported_too() -> None:
    with serving(answering(response("302 Found"))) as server:
        assert "never followed" in refusal(server.url)


def test_an_error_never_shows_the_query() -> None:
    with serving(answering(response("500 No"))) as server:
        assert "s3cr3t" not in refusal(f"{server.url}?token=s3cr3t")


def test_a_refused_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refusal(f"ws://127.0.0.1:{port}/") == f"cannot connect to ws://127.0.0.1:{port}/: Connection refused"


def test_a_host_that_cannot_be_resolved() -> None:
    assert "cannot connect to ws://name.invalid/feed: its host name cannot be resolved" in refusal(
        "ws://name.invalid/feed", connect_seconds=14
    )


def silent(peer: Peer) -> Any:
    return peer.drained()


def dripped(peer: Peer) -> None:
    answer = accepting(peer.request(), "X-Padding: " + "p" * 500 + "\r\n")
    for index in range(len(answer)):
        peer.send(answer[index : index + 1])
        gevent.sleep(0.01)


def dripped_body(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 500 No\r\nContent-Length: 500\r\n\r\n")
    while True:
        peer.send(b".")
        gevent.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (silent, "no answer within 0.4 s"),
        (dripped, "no answer within 0.4 s"),
        (dripped_body, "it answered 500 Internal Server Error: ...."),
    ],
)
def test_one_deadline_covers_the_handshake(script: Callable[[Peer], Any], expected: str) -> None:
    began = time.monotonic()
    with serving(script) as server:
        assert expected in refusal(server.url, connect_seconds=0.4)
        assert time.monotonic() - began < 10
        server.result()  # It ends with the connection.


def test_the_deadline_covers_tls() -> None:
    began = time.monotonic()
    with serving(silent) as server:
        assert "no answer within 0.4 s" in refusal(server.url.replace("ws:", "wss:"), connect_seconds=0.4)
    assert time.monotonic() - began < 10


def test_the_deadline_covers_the_commands() -> None:
    """The server answers the handshake, and then reads nothing."""

    def script(peer: Peer) -> Any:
        peer.upgrade()
        gevent.sleep(0.6)
        return len(peer.drained())

    began = time.monotonic()
    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url, b"c" * (20 << 20), connect_seconds=0.4)
        with pytest.raises(ConnectError, match=r"no answer within 0\.4 s"):
            feed.connect()
        assert time.monotonic() - began < 10
        assert server.result() > 0, "the connection was left open"


def endless_head(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        peer.send(b"X-Endless: " + b"e" * 5000 + b"\r\n")


def endless_line(peer: Peer) -> None:
    peer.request()
    while True:
        peer.send(b"HTTP/1.1 101 " + b"e" * 5000)


def endless_body(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 500 No\r\nContent-Length: 99999999999999\r\n\r\n")
    while True:
        peer.send(b"e" * 5000)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (endless_head, "the response to the handshake does not end"),
        (endless_line, "the response to the handshake does not end"),
        (endless_body, "it answered 500 Internal Server Error: eeeee"),
    ],
)
def test_an_endless_answer_is_not_read_to_its_end(script: Callable[[Peer], Any], expected: str) -> None:
    with serving(script) as server:
        assert expected in refusal(server.url)
        assert isinstance(server.result(), OSError)
        assert server.peers[0].sent < 32 << 20, "more than sockets buffer"


GARBAGE = {
    "nothing": b"",
    "blank lines": b"\r\n\r\n",
    "not HTTP": b"220 mail.example ESMTP \x1b[2Jready\r\n\r\n",
    "binary": bytes(range(256)) * 4 + b"\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    "no colon": b"HTTP/1.1 101 Yes\r\nUpgrade\r\n\r\n",
    "cut off": b"HTTP/1.1 101 Switching Proto",
    "no such status": b"HTTP/1.1 abc Yes\r\n\r\n",
    "no upgrade": b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\n\r\n",
    "no accept": b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "wrong accept": b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: c2ltcGx5IHdyb25nIGFuc3dlcg==\r\n\r\n",
    "wrong accept beyond ASCII": b"HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: \xc3\xbc\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_instead_of_an_answer(garbage: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(garbage)

    with serving(script) as server:
        text = refusal(server.url)
        assert text.startswith(f"cannot connect to ws://127.0.0.1:{server.port}/feed/v1: ")
        assert "None" not in text


def test_an_invalid_cookie_is_reported() -> None:
    def script(peer: Peer) -> None:
        peer.upgrade(fields="Set-Cookie: a{b=1; Domain=127.0.0.1\r\n")

    with serving(script) as server:
        text = refusal(server.url)
    assert "llegal key" in text


def test_reset_instead_of_an_answer() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    with serving(script) as server:
        assert "Connection reset by peer" in refusal(server.url)


# The stream.


def test_frames_that_arrive_with_the_answer_to_the_handshake_are_not_lost() -> None:
    payloads = [b'{"n":%d}\n' % number for number in range(300)]

    def script(peer: Peer) -> None:
        peer.upgrade(also=b"".join([frame(TEXT, payload) for payload in payloads]) + close_frame(1000))

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        assert collect(feed)[0] == payloads


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (close_frame(1000), "closed the connection: code 1000"),
        (close_frame(1001, b"maintenance"), "closed the connection: code 1001, maintenance"),
        (close_frame(1012, b"\x1b[31mrestart\r\nnow\xff"), "closed the connection: code 1012, [31mrestart now\ufffd"),
        (close_frame(4007, b"r" * 123), f"closed the connection: code 4007, {'r' * 123}"),
        (frame(CLOSE), "closed the connection: no code"),
        (b"", "was lost: the connection ended without a close frame"),
        (frame(TEXT, b"cut off")[:5], "was lost: the connection ended without a close frame"),
    ],
)
def test_each_way_in_which_the_server_can_end_the_connection(ending: bytes, expected: str) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"first", b"last")
        peer.send(ending)

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        received, end = collect(feed)
    assert received == [b"first", b"last"]
    assert end is not None
    assert end.isprintable()
    assert f"ws://127.0.0.1:{server.port}/feed/v1" in end
    assert end.endswith(expected)


def test_reset_by_the_server() -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"first", b"last")
        peer.reset()

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        server.result()
        received, end = collect(feed)
    assert received == [b"first", b"last"]
    assert end == f"the connection to {server.url} was lost: Connection reset by peer"


class Meaning(Signing):
    """A dialect that knows what close codes mean."""

    def closed(self, code: int | None, reason: str) -> SsmdError | None:
        if code in (1008, None):
            return SubscriptionRefused(f"refused: {code} {reason}")
        return Disconnected(f"ended: {reason}") if code == 4000 else None


@pytest.mark.parametrize(
    ("ending", "kind", "expected", "code"),
    [
        (close_frame(1008, b"no \x1b[31mchannel"), SubscriptionRefused, "refused: 1008 no  [31mchannel", 1008),
        (frame(CLOSE), SubscriptionRefused, "refused: None ", None),
        (close_frame(4000, b"maintenance"), Disconnected, "ended: maintenance", 4000),
        (close_frame(1001, b"bye"), Disconnected, "closed the connection: code 1001, bye", 1001),
        (b"", Disconnected, "was lost: the connection ended without a close frame", None),
    ],
)
def test_the_dialect_may_know_what_a_close_code_means(
    ending: bytes, kind: type[SsmdError], expected: str, code: int | None
) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"first")
        peer.send(ending)

    with serving(script) as server:
        feed = WebSocketConnector(server.url, Meaning(), WebSocketConfig(endpoint=server.url))
        feed.connect()
        messages = lists_of(feed)
        assert next(messages) == [b"first"]
        with pytest.raises(SsmdError) as ended:
            next(messages)
    assert type(ended.value) is kind
    assert str(ended.value).endswith(expected)
    assert ended.value.code == code  # type: ignore[attr-defined]


def test_what_a_close_code_means_never_shows_a_key() -> None:
    class Repeating(Meaning):
        def opening(self, endpoint: str, now_ms: int) -> Opening:
            return signed(endpoint, "canary-0123456789")

    def script(peer: Peer) -> None:
        peer.upgrade(also=close_frame(1008, b"no key canary-0123456789"))

    with serving(script) as server:
        feed = WebSocketConnector(server.url, Repeating(), WebSocketConfig(endpoint=server.url))
        feed.connect()
        with pytest.raises(SubscriptionRefused, match=r"^refused: 1008 no key \(hidden\)$"):
            next(lists_of(feed))


def test_a_close_frame_is_answered() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(close_frame(1001))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        collect(feed)
        assert server.result() == [(CLOSE, b"\x03\xe8")]


def test_a_close_frame_whose_reason_is_not_utf8_is_answered_with_1007() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(close_frame(1001, b"bye \xff"))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        _, end = collect(feed)
        assert server.result() == [(CLOSE, b"\x03\xef")]
    assert end is not None
    assert end.endswith("code 1001, bye \ufffd")


@pytest.mark.parametrize(
    ("sent", "code", "expected"),
    [
        (frame(TEXT, b"m" * 1001), 1009, "a message of 1,001 bytes or more; at most 1,000 allowed"),
        (frame(BINARY, b"m" * 70_000), 1009, "a message of 70,000 bytes or more; at most 1,000 allowed"),
        (
            frame(TEXT, b"m" * 1000, fin=False) + frame(CONT, b"m", fin=False),
            1009,
            "a message of 1,001 bytes or more; at most 1,000 allowed; raise max_message_bytes",
        ),
        (frame(TEXT, b"masked", mask=b"abcd"), 1002, "broke the WebSocket protocol: a masked frame from the server"),
        (frame(TEXT, b"packed", rsv=4), 1002, "broke the WebSocket protocol: rsv"),
        (frame(11), 1002, "broke the WebSocket protocol: Invalid opcode"),
        (frame(CONT, b"of nothing"), 1002, "broke the WebSocket protocol: Illegal frame"),
        (close_frame(1005), 1002, "broke the WebSocket protocol: Invalid close"),
    ],
)
def test_a_frame_that_is_not_allowed_ends_the_connection_with_a_close_code(
    sent: bytes, code: int, expected: str
) -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.text(b"first")
        peer.send(sent + frame(TEXT, b"never"))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, max_message_bytes=1000)
        feed.connect()
        received, end = collect(feed)
        assert server.result() == [(CLOSE, code.to_bytes(2, "big"))]
    assert received == [b"first"]
    assert end is not None
    assert expected in end


def test_a_ping_is_answered_with_its_body() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(frame(PING) + frame(PING, b"heartbeat \x00\xff") + frame(PONG, b"unasked") + frame(PING, b"p" * 125))
        return [peer.receive() for _ in range(3)]

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        collecting = gevent.spawn(collect, feed)
        assert server.result() == [(PONG, b""), (PONG, b"heartbeat \x00\xff"), (PONG, b"p" * 125)]
        collecting.get()


# Silence.


def pinging(peer: Peer) -> None:
    peer.upgrade()
    while True:
        peer.send(frame(PING, b"still here"))
        gevent.sleep(0.05)


def test_without_any_frame_the_connection_ends() -> None:
    with serving(answer_and_hold) as server:
        feed = connector(server.url, idle_timeout_seconds=0.3)
        feed.connect()
        began = time.monotonic()
        _, end = collect(feed)
        assert 0.25 < time.monotonic() - began < 10
        assert server.result() == [(PING, b""), (CLOSE, b"\x03\xe9")]
    assert end == f"nothing came from {server.url} for 0.3 s, not even an answer to our ping"


@pytest.mark.parametrize("tick_seconds", [None, 0.02])
def test_a_quiet_exchange_that_answers_pings_stays_connected(tick_seconds: float | None) -> None:
    """The pings come after half of the idle time, and one for each silence."""

    def script(peer: Peer) -> list[float]:
        peer.upgrade()
        times = [time.monotonic()]
        for _ in range(4):
            assert peer.receive() == (PING, b"")
            times.append(time.monotonic())
            peer.send(frame(PONG))
        peer.send(close_frame(1000))
        return times

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=1.0, tick_seconds=tick_seconds)
        feed.connect()
        received, end = collect(feed)
        times = server.result()
    assert received == []
    assert end is not None
    assert end.endswith("closed the connection: code 1000")
    assert min(after - before for before, after in pairwise(times[1:])) > 0.48


@pytest.mark.parametrize("kept_alive_by", [frame(PONG), frame(TEXT, b"data")], ids=["pongs", "data"])
def test_an_exchange_that_is_not_quiet_gets_no_pings(kept_alive_by: bytes) -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        for _ in range(20):
            peer.send(kept_alive_by)
            gevent.sleep(0.05)
        peer.send(close_frame(1000))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=6)
        feed.connect()
        collect(feed)
        assert server.result() == [(CLOSE, b"\x03\xe8")]


def test_a_process_that_was_stopped_asks_before_it_gives_up() -> None:
    """When the process goes on, both times have passed. But no ping was sent, so there was nothing to answer."""

    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.text(b"before")
        assert peer.receive() == (PING, b"")
        peer.send(frame(PONG) + frame(TEXT, b"after") + close_frame(1000))

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=0.3)
        feed.connect()
        messages = lists_of(feed)
        assert next(messages) == [b"before"]
        asleep = gevent.spawn(monkey.get_original("time", "sleep"), 0.8)
        assert next(messages) == [b"after"]
        asleep.get()
        feed.close()


def test_a_message_that_is_never_completed_is_reported_as_such() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        for byte in frame(TEXT, b"m" * 200):
            peer.send(bytes([byte]))
            gevent.sleep(0.05)

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=0.4)
        feed.connect()
        _, end = collect(feed)
    assert end == f"{server.url} began a message, and did not complete it within 0.4 s (idle_timeout_seconds)"


def test_no_ping_is_sent_into_a_command_that_was_cut_off(small_buffers: None) -> None:
    """The exchange would read it as the rest of the command."""
    ended = gevent.event.Event()

    def script(peer: Peer) -> Any:
        peer.upgrade()
        ended.wait()
        return peer.drained()

    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url, idle_timeout_seconds=0.4)
        feed.connect()
        with pytest.raises(TimeoutError):
            feed._reader.send_texts([b"c" * 1_000_000], 0.2)
        _, end = collect(feed)
        ended.set()
        data = server.result()
    mask, body = data[10:14], data[14:]
    assert 0 < len(body) < 1_000_000
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)) == b"c" * len(body)
    assert end == f"nothing came from {server.url} for 0.4 s, not even a ping, and our own could not be sent"


def test_a_ping_that_the_exchange_does_not_read_does_not_prolong_the_silence(
    small_buffers: None, caplog: pytest.LogCaptureFixture
) -> None:
    ended = gevent.event.Event()

    def script(peer: Peer) -> None:
        peer.upgrade()
        ended.wait()

    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url, idle_timeout_seconds=0.4)
        feed.connect()
        fill_up(feed._reader.sock)
        began = time.monotonic()
        _, end = collect(feed)
        assert 0.35 < time.monotonic() - began < 10
        ended.set()
    assert end == f"nothing came from {server.url} for 0.4 s, not even a ping, and our own could not be sent"
    assert [record.answer for record in caplog.records] == ["ping"]  # type: ignore[attr-defined]


def answer_and_hold(peer: Peer) -> Any:
    peer.upgrade()
    return peer.received()


@pytest.mark.parametrize("tick_seconds", [None, 0.02])
@pytest.mark.parametrize(
    ("kept_alive_by", "options"),
    [(frame(PING), {"idle_timeout_seconds": 1.5}), (frame(TEXT, b"data"), {"data_timeout_seconds": 1.5})],
    ids=["pings", "data"],
)
def test_what_comes_in_time_keeps_the_connection_alive(
    kept_alive_by: bytes, options: dict[str, float], tick_seconds: float | None
) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        for _ in range(30):
            peer.send(kept_alive_by)
            gevent.sleep(0.1)
        peer.send(close_frame(1000))

    with serving(script) as server:
        feed = connector(server.url, tick_seconds=tick_seconds, **options)
        feed.connect()
        _, end = collect(feed)
    assert end is not None
    assert "code 1000" in end


@pytest.mark.parametrize("script", [pinging, answer_and_hold])
def test_without_data_the_connection_ends_if_that_is_configured(script: Callable[[Peer], Any]) -> None:
    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=5, data_timeout_seconds=0.3)
        feed.connect()
        began = time.monotonic()
        _, end = collect(feed)
        assert 0.25 < time.monotonic() - began < 10
    assert end == f"no data came from {server.url} for 0.3 s (data_timeout_seconds)"


def test_a_ping_does_not_prolong_the_time_without_data() -> None:
    """After a ping shortly before the time is over only the rest of it may be waited for."""

    def script(peer: Peer) -> Any:
        peer.upgrade()
        gevent.sleep(0.25)
        peer.send(frame(PING))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=5, data_timeout_seconds=0.3)
        feed.connect()
        began = time.monotonic()
        _, end = collect(feed)
        assert 0.25 < time.monotonic() - began < 10
    assert end is not None
    assert "no data" in end


def heartbeats(feed: WebSocketConnector) -> tuple[list[bytes], str | None]:
    """As collect(), with a dialect to which heartbeats are no data."""
    received: list[bytes] = []

    def each(payloads: list[bytes]) -> None:
        received.extend(payloads)
        if payloads and all(payload == b"heartbeat" for payload in payloads):
            feed.no_data()

    return received, read(feed, each)


@pytest.mark.parametrize("tick_seconds", [None, 0.02])
def test_messages_that_are_no_data_do_not_end_the_silence(tick_seconds: float | None) -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"data")
        while True:
            peer.text(b"heartbeat")
            gevent.sleep(0.02)

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=5, data_timeout_seconds=0.4, tick_seconds=tick_seconds)
        feed.connect()
        began = time.monotonic()
        received, end = heartbeats(feed)
        assert 0.35 < time.monotonic() - began < 10
    assert received.count(b"data") == 1
    count = received[received.index(b"data") :].count(b"heartbeat")
    assert count > 1
    text = (
        f"no data came from {server.url} for 0.4 s (data_timeout_seconds), "
        "only {} messages that `ignore` of the feed's `dialect` selects"
    )
    assert end in (text.format(count), text.format(count - 1)), "the first may have come in one read with the data"


def test_data_among_heartbeats_keeps_the_connection_alive() -> None:
    """Also when both come in one read: only a list without any data is none."""

    def script(peer: Peer) -> None:
        peer.upgrade()
        for number in range(30):
            peer.text(b"heartbeat", *([b"data"] if number % 5 == 0 else []), b"heartbeat")
            gevent.sleep(0.1)
        peer.send(close_frame(1000))

    with serving(script) as server:
        feed = connector(server.url, data_timeout_seconds=1.5)
        feed.connect()
        received, end = heartbeats(feed)
    assert len(received) == 66
    assert end is not None
    assert end.endswith("code 1000")


def test_heartbeats_keep_the_connection_alive_without_a_time_for_data() -> None:
    """They show that the exchange is alive, so that no ping is sent."""

    def script(peer: Peer) -> Any:
        peer.upgrade()
        for _ in range(20):
            peer.text(b"heartbeat")
            gevent.sleep(0.05)
        peer.send(close_frame(1000))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=6)
        feed.connect()
        _, end = heartbeats(feed)
        assert server.result() == [(CLOSE, b"\x03\xe8")]
    assert end is not None
    assert end.endswith("code 1000")


def test_a_flood_of_heartbeats_is_no_data() -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        with contextlib.suppress(OSError):
            while True:
                peer.send(frame(TEXT, b"heartbeat") * 1000)

    with serving(script) as server:
        feed = connector(server.url, data_timeout_seconds=0.3)
        feed.connect()
        began = time.monotonic()
        received, end = heartbeats(feed)
        assert time.monotonic() - began < 10
    assert end is not None
    assert end.startswith(f"no data came from {server.url} for 0.3 s (data_timeout_seconds), only {len(received):,} m")


def test_the_shorter_silence_is_the_one_that_is_reported() -> None:
    with serving(answer_and_hold) as server:
        feed = connector(server.url, idle_timeout_seconds=0.2, data_timeout_seconds=9)
        feed.connect()
        _, end = collect(feed)
    assert end is not None
    assert "not even an answer to our ping" in end


@pytest.mark.parametrize("options", [{"idle_timeout_seconds": 0.2}, {"data_timeout_seconds": 0.2}])
def test_time_in_which_the_consumer_is_slow_is_not_silence(options: dict[str, float]) -> None:
    """While the disk is slow the socket is not read: what arrives late then is not the exchange's fault."""

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"first")
        gevent.sleep(0.05)
        peer.send(frame(PING) + frame(TEXT, b"second") + frame(PING))
        gevent.sleep(0.4)
        peer.send(frame(PING) + frame(TEXT, b"third") + close_frame(1000))

    with serving(script) as server:
        feed = connector(server.url, **options)
        feed.connect()
        messages = lists_of(feed)
        received = next(messages)
        gevent.sleep(0.5)
        received += next(messages) + next(messages)
        with pytest.raises(Disconnected, match="code 1000"):
            next(messages)
    assert received == [b"first", b"second", b"third"]
    assert Disconnected.exit_code == 75


@contextlib.contextmanager
def stopped_for_a_while(peer: Peer, meanwhile: bytes) -> Iterator[None]:
    """Stop all greenlets, from the next switch on, until a timer of 0.3 s is long over.

    A native thread sends `meanwhile`, since no greenlet runs.
    """
    sleep = monkey.get_original("time", "sleep")
    asleep = gevent.spawn(sleep, 0.6)
    late = gevent.get_hub().threadpool.spawn(lambda: (sleep(0.2), peer.sock._sock.send(meanwhile)))
    yield
    asleep.get()
    late.get()


def test_a_process_that_was_stopped_does_not_take_its_own_sleep_for_silence() -> None:
    """A virtual machine that was paused finds its timer expired, and the data there."""

    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.text(b"before")
        gevent.sleep(0.05)
        peer.text(b"meanwhile")
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=0.3)
        feed.connect()
        messages = lists_of(feed)
        assert next(messages) == [b"before"]
        with stopped_for_a_while(server.peers[0], frame(TEXT, b"late")):
            assert next(messages) in ([b"meanwhile"], [b"late"], [b"late", b"meanwhile"])
        feed.close()


def test_data_behind_pings_that_came_while_the_process_was_stopped_counts() -> None:
    """The pings are read first, when the time without data is over already."""

    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.text(b"before")
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, data_timeout_seconds=0.3)
        feed.connect()
        messages = lists_of(feed)
        assert next(messages) == [b"before"]
        with stopped_for_a_while(server.peers[0], frame(PING) * 300 + frame(TEXT, b"late")):
            assert next(messages) == [b"late"]
        feed.close()


def test_data_behind_heartbeats_that_came_while_the_process_was_stopped_counts() -> None:
    """The heartbeats are read first, when the time for data is over already."""
    heartbeat = frame(TEXT, b"heartbeat", fin=False) + frame(CONT)  # Each is read alone.

    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.text(b"before")
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url, data_timeout_seconds=0.3)
        feed.connect()
        messages = lists_of(feed)
        assert next(messages) == [b"before"]
        with stopped_for_a_while(server.peers[0], heartbeat * 300 + frame(TEXT, b"late")):
            while (payloads := next(messages)) == [b"heartbeat"]:
                feed.no_data()
            assert payloads == [b"late"]
        feed.close()


def test_a_connection_that_the_kernel_gives_up_is_not_reported_as_silence() -> None:
    feed = connector("ws://exchange.test/feed")
    lost = feed._disconnected(TimeoutError(110, "Connection timed out"))
    assert str(lost) == "the connection to ws://exchange.test/feed was lost: Connection timed out"


# Closing.


def test_close_wakes_messages() -> None:
    with serving(answer_and_hold) as server:
        feed = connector(server.url)
        feed.connect()
        collecting = gevent.spawn(collect, feed)
        eventually(lambda: server.peers)
        gevent.sleep(0.02)
        began = time.monotonic()
        feed.close()
        feed.close()
        assert collecting.get() == ([], None)
        assert time.monotonic() - began < 10
        assert server.result() == [(CLOSE, b"\x03\xe9")]
    feed.close()


def test_what_has_arrived_is_yielded_after_close() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(b"".join([frame(kind, b"%d" % number) for number in range(50) for kind in (TEXT, BINARY)]))
        return peer.received()

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        eventually(lambda: server.peers and server.peers[0].sent > 100)
        gevent.sleep(0.05)
        received = []
        for payloads in lists_of(feed):
            feed.close()
            received += payloads
    assert received == [b"%d" % number for number in range(50) for _ in range(2)]


def test_close_under_load() -> None:
    with serving(flooding) as server:
        feed = connector(server.url)
        feed.connect()
        count = 0
        for payloads in lists_of(feed):
            count += len(payloads)
            if count > 100_000:
                feed.close()
        assert count > 100_000


def test_close_before_connect() -> None:
    with serving(upgrading) as server:
        feed = connector(server.url)
        feed.close()
        feed.close()
        with pytest.raises(ConnectError, match="closed before it was connected"):
            feed.connect()
        assert list(lists_of(feed)) == []
        assert server.connections == 0


def test_close_during_connect() -> None:
    with serving(silent) as server:
        feed = connector(server.url)

        connecting = gevent.spawn(refused, feed)
        eventually(lambda: server.peers)
        gevent.sleep(0.02)
        began = time.monotonic()
        feed.close()
        assert connecting.get().startswith("cannot connect to ")
        assert time.monotonic() - began < 10
        assert server.result().startswith(b"GET ")
    assert list(lists_of(feed)) == []


def test_close_between_connect_and_messages() -> None:
    with serving(answer_and_hold) as server:
        feed = connector(server.url)
        feed.connect()
        feed.close()
        assert list(lists_of(feed)) == []
        assert server.result() == [(CLOSE, b"\x03\xe9")]


def test_close_after_the_server_has_left() -> None:
    with serving(upgrading_and_leaving) as server:
        feed = connector(server.url)
        feed.connect()
        server.result()
        feed.close()
        assert list(lists_of(feed)) == []


def upgrading_and_leaving(peer: Peer) -> None:
    peer.upgrade()
    peer.reset()


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector's socket takes few bytes that the exchange does not read."""
    options = [*DEFAULT_SOCKET_OPTION, (socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)]
    monkeypatch.setattr(dial, "DEFAULT_SOCKET_OPTION", options)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_an_exchange_that_does_not_read_our_answers_is_still_read(
    authority: Authority,
    small_buffers: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    secure: bool,
) -> None:
    """Not every answer may be waited for, and nothing may follow one that was cut off.

    The exchange may end the connection because it gets no answers: one warning says so in advance.
    """
    monkeypatch.setattr(sender, "ANSWER_SECONDS", 0.3)
    ended = gevent.event.Event()

    def script(peer: Peer) -> Any:
        peer.upgrade()
        for _ in range(100):
            peer.send(frame(PING, b"p" * 125) * 30 + frame(TEXT, b"between"))
        peer.text(b"last")
        ended.wait()
        return peer.received()

    with serving(script, tls=authority.context() if secure else None, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        began = time.monotonic()
        received: list[bytes] = []
        for payloads in lists_of(feed):
            received += payloads
            if b"last" in received:
                break
        assert time.monotonic() - began < 10
        feed.close()
        ended.set()
        answers = server.result()
    assert received == [b"between"] * 100 + [b"last"]
    assert 0 < len(answers) < 3000
    assert set(answers) == {(PONG, b"p" * 125)}
    [warning] = caplog.records
    assert (warning.name, warning.levelname) == ("ssmd.connector", "WARNING")
    assert warning.getMessage() == "exchange does not read our answers; no more are sent, and it may hang up"
    assert (warning.answer, warning.seconds) == ("pong", 0.3)  # type: ignore[attr-defined]


def fill_up(sock: Any) -> None:
    """Send until the kernel takes nothing more, not even after 0.2 s, when it has asked the receiver again."""
    refusals = 0
    while refusals < 40:
        try:
            sock._sock.send(b"x" * 1000)
            refusals = 0
        except BlockingIOError:
            refusals += 1
            gevent.sleep(0.02)


def test_a_ping_while_a_close_frame_waits_to_be_sent(small_buffers: None, caplog: pytest.LogCaptureFixture) -> None:
    """Two greenlets would then send on one socket."""
    full = gevent.event.Event()

    def script(peer: Peer) -> None:
        peer.upgrade()
        full.wait()
        gevent.sleep(0.2)
        peer.send(frame(PING, b"p") + frame(TEXT, b"behind it"))
        gevent.sleep(5)

    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        fill_up(feed._reader.sock)
        collecting = gevent.spawn(collect, feed)
        gevent.sleep(0.02)
        full.set()
        began = time.monotonic()
        feed.close()
        assert collecting.get() == ([b"behind it"], None)
        assert time.monotonic() - began < 5
    assert [record.answer for record in caplog.records] == ["close"]  # type: ignore[attr-defined]


def test_close_while_the_commands_are_being_sent() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        gevent.sleep(0.5)
        return len(peer.drained())

    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url, b"c" * (20 << 20))
        connecting = gevent.spawn(refused, feed)
        eventually(lambda: feed._reader.connected)
        gevent.sleep(0.1)
        feed.close()
        assert connecting.get().startswith("cannot connect to ")
        assert server.result() > 0


def test_close_while_a_pong_is_stuck(small_buffers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that pings and never reads; two greenlets would then send on one socket."""
    monkeypatch.setattr(sender, "ANSWER_SECONDS", 15)  # Otherwise it is given up before the test sees that it is stuck.

    def script(peer: Peer) -> None:
        peer.upgrade()
        while True:
            peer.send(frame(PING, b"p" * 125) * 100)

    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        collecting = gevent.spawn(collect, feed)
        sent = -1
        while sent != server.peers[0].sent:
            sent = server.peers[0].sent
            gevent.sleep(0.3)
        began = time.monotonic()
        feed.close()
        assert collecting.get() == ([], None)
        assert time.monotonic() - began < 10


# Fairness.


def flooding(peer: Peer) -> None:
    peer.upgrade()
    data = frame(TEXT, b'{"flood":true}' * 10) * 2000
    while True:
        peer.send(data)


def flooding_with_fragments(peer: Peer) -> None:
    peer.upgrade()
    peer.send(frame(TEXT, b"endless", fin=False))
    data = frame(CONT, fin=False) * 20_000
    while True:
        peer.send(data)


def flooding_with_pings(peer: Peer) -> None:
    peer.upgrade()
    gevent.spawn(peer.drained)
    data = frame(PONG, b"p") * 20_000
    while True:
        peer.send(data)


@pytest.mark.parametrize("script", [flooding, flooding_with_fragments, flooding_with_pings])
def test_a_flood_does_not_starve_other_greenlets(script: Callable[[Peer], Any]) -> None:
    ticks: list[float] = []

    def tick() -> None:
        while len(ticks) < 50:
            ticks.append(time.thread_time())  # CPU time of this thread: other work of the machine is not the flood's.
            gevent.sleep(0.01)
        feed.close()

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        ticker = gevent.spawn(tick)
        collect(feed)
        ticker.get()
    longest = max(after - before for before, after in pairwise(ticks))
    assert longest < 0.2


def flooding_with_pings_to_answer(peer: Peer) -> None:
    peer.upgrade()
    gevent.spawn(peer.drained)
    while True:
        peer.send(frame(PING, b"p") * 3000)


@pytest.mark.parametrize("script", [flooding_with_fragments, flooding_with_pings, flooding_with_pings_to_answer])
def test_a_flood_without_data_does_not_prolong_the_time_without_data(script: Callable[[Peer], Any]) -> None:
    """There is always something to read, so no read ever ends with a time-out."""
    with serving(script) as server:
        feed = connector(server.url, idle_timeout_seconds=5, data_timeout_seconds=0.3)
        feed.connect()
        began = time.monotonic()
        received, end = collect(feed)
        assert 0.25 < time.monotonic() - began < 10
    assert received == []
    assert end == f"no data came from {server.url} for 0.3 s (data_timeout_seconds)"


def test_a_flood_without_data_is_no_error_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(flooding_with_fragments) as server:
        feed = connector(server.url, data_timeout_seconds=0.3)
        feed.connect()
        monkeypatch.setattr(feed._opener, "hang_up", lambda: None)  # So that the flood goes on.
        gevent.spawn_later(0.1, feed.close)
        assert collect(feed) == ([], None)


# Ticks.

TICK = 0.05


def ticks(feed: WebSocketConnector, count: int) -> tuple[list[bytes], list[float]]:
    """Read until so many empty lists were yielded; return the messages, and when each of the lists came."""
    received: list[bytes] = []
    times: list[float] = []
    for payloads in lists_of(feed):
        received += payloads
        if not payloads:
            times.append(time.monotonic())
            if len(times) == count:
                feed.close()
    return received, times[:count]


def pinging_fast(peer: Peer) -> None:
    peer.upgrade()
    gevent.spawn(peer.drained)
    while True:
        peer.send(frame(PING, b"still here"))
        gevent.sleep(TICK / 5)


@pytest.mark.parametrize(
    "script", [answer_and_hold, pinging_fast, flooding, flooding_with_fragments, flooding_with_pings]
)
def test_an_exchange_that_wants_ticks_gets_them_in_time_whatever_comes(script: Callable[[Peer], Any]) -> None:
    with serving(script) as server:
        feed = connector(server.url, tick_seconds=TICK)
        feed.connect()
        began = time.monotonic()
        received, times = ticks(feed, 6)
    for number, at in enumerate(times, 1):
        assert at - began >= number * TICK
    assert bool(received) == (script is flooding)


def test_without_tick_seconds_no_empty_list_is_ever_yielded() -> None:
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.send(frame(PING) * 3 + frame(TEXT, b"fragmented", fin=False) + frame(PING) + frame(CONT, b"!"))
        gevent.sleep(0.1)
        peer.send(frame(PING) + frame(TEXT, b"whole") + close_frame(1000))

    with serving(script) as server:
        feed = connector(server.url)
        feed.connect()
        found: list[list[bytes]] = []
        with pytest.raises(Disconnected, match="code 1000"):
            found.extend(lists_of(feed))
    assert found == [[b"fragmented!"], [b"whole"]]


def dripping_a_frame(peer: Peer) -> None:
    peer.upgrade()
    peer.send(frame(TEXT, b"d" * 60_000)[:2])
    while True:
        peer.send(b"d")
        gevent.sleep(0.01)


SILENT = "nothing came from {} for 0.4 s, not even an answer to our ping"
INCOMPLETE = "{} began a message, and did not complete it within 0.4 s (idle_timeout_seconds)"
WITHOUT_DATA = "no data came from {} for 0.4 s (data_timeout_seconds)"


@pytest.mark.parametrize(
    ("script", "options", "expected"),
    [
        (answer_and_hold, {"idle_timeout_seconds": 0.4}, SILENT),
        (dripping_a_frame, {"idle_timeout_seconds": 0.4}, INCOMPLETE),
        (answer_and_hold, {"data_timeout_seconds": 0.4}, WITHOUT_DATA),
        (pinging_fast, {"data_timeout_seconds": 0.4}, WITHOUT_DATA),
        (flooding_with_fragments, {"data_timeout_seconds": 0.4}, WITHOUT_DATA),
        (answer_and_hold, {"idle_timeout_seconds": 0.4, "data_timeout_seconds": 9}, SILENT),
        (answer_and_hold, {"idle_timeout_seconds": 9, "data_timeout_seconds": 0.4}, WITHOUT_DATA),
    ],
)
@pytest.mark.parametrize("tick_seconds", [TICK, 0.3, 5])
def test_ticks_do_not_prolong_a_silence(
    script: Callable[[Peer], Any], options: dict[str, float], expected: str, tick_seconds: float
) -> None:
    with serving(script) as server:
        feed = connector(server.url, tick_seconds=tick_seconds, **options)
        feed.connect()
        began = time.monotonic()
        received, end = collect(feed)
        assert 0.35 < time.monotonic() - began < 10
    assert (received, end) == ([], expected.format(server.url))


# Payloads that look like frames: a reader that loses its place in a frame would return parts of them as messages.
FORGED = (frame(TEXT, b"forged") + close_frame(1000) + frame(TEXT, b"f" * 300)) * 250
IN_PIECES = {
    "text": (frame(TEXT, FORGED[:100]), [1, 2, 3, 50]),
    "long text": (frame(TEXT, FORGED[:9000]), [1, 2, 3, 4, 5, 4000]),
    "text longer than the buffer": (frame(TEXT, FORGED), [1, 2, 3, 9, 10, 11, 40_000, 66_000]),
    "binary": (frame(BINARY, FORGED[:100]), [1, 2, 3, 50]),
    "long binary": (frame(BINARY, FORGED[:9000]), [1, 2, 3, 4, 5, 4000]),
    "fragments": (
        frame(TEXT, FORGED[:100], fin=False) + frame(CONT, FORGED[100:400], fin=False) + frame(CONT, FORGED[400:500]),
        [1, 2, 50, 102, 103, 104, 106, 300, 406, 407, 408, 450],
    ),
    "fragments with a ping between them": (
        frame(BINARY, FORGED[:100], fin=False) + frame(PING, FORGED[:20]) + frame(CONT, FORGED[100:150]),
        [102, 103, 104, 110, 124, 125, 126, 130],
    ),
}
WHOLE_OF_PIECES = [
    FORGED[:100], FORGED[:9000], FORGED, FORGED[:100], FORGED[:9000], FORGED[:500], FORGED[:150]
]  # fmt: skip


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_ticks_and_commands_in_the_middle_of_a_frame_cost_nothing(authority: Authority, secure: bool) -> None:
    sent: list[bytes] = []

    def has(enough: int) -> bool:
        return len(sent) >= enough

    def script(peer: Peer) -> Any:
        peer.upgrade()
        receiving = gevent.spawn(peer.received)
        for stream, cuts in IN_PIECES.values():
            for start, stop in pairwise([0, *cuts, len(stream)]):
                peer.send(stream[start:stop])
                # After the first tick the client reads the piece, so the second is in the middle of the frame.
                eventually(partial(has, len(sent) + 2))
        peer.send(close_frame(1000))
        return receiving.get()

    with serving(script, tls=authority.context() if secure else None) as server:
        feed = connector(server.url, tick_seconds=0.002)
        feed.connect()
        received: list[bytes] = []

        def answer(payloads: list[bytes]) -> None:
            received.extend(payloads)
            if not payloads:
                sent.append(b"tick %d" % len(sent))
                feed.send(sent[-1:])

        end = read(feed, answer)
        frames = server.result()
    assert received == WHOLE_OF_PIECES
    assert end == f"{server.url} closed the connection: code 1000"
    assert [payload for opcode, payload in frames if opcode == TEXT] == sent
    assert [other for other in frames if other[0] != TEXT] == [(PONG, FORGED[:20]), (CLOSE, b"\x03\xe8")]


# Sending.

COMMANDS = [b'{"id":1}', b"", '{"id":"\u00fc"}'.encode(), b"x" * 300, b"y" * 70_000, b'{"id":2}']


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_further_commands_are_sent_whole_and_in_order(authority: Authority, secure: bool) -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.text(b"first")
        early = [peer.receive() for _ in COMMANDS]
        peer.text(b"second")
        late = [peer.receive() for _ in COMMANDS]
        peer.send(close_frame(1000))
        return early, late

    with serving(script, tls=authority.context() if secure else None) as server:
        feed = connector(server.url)
        feed.connect()
        received: list[bytes] = []

        def answer(payloads: list[bytes]) -> None:
            received.extend(payloads)
            feed.send(COMMANDS)

        end = read(feed, answer)
        assert server.result() == ([(TEXT, command) for command in COMMANDS],) * 2
    assert received == [b"first", b"second"]
    assert end == f"{server.url} closed the connection: code 1000"


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame of the client's, masked with zeros."""
    return frame(opcode, payload, mask=bytes(4))


def not_reading_until(asked: gevent.event.Event, *sent: bytes) -> Callable[[Peer], bytes]:
    """A script that sends something, reads nothing until it is asked to, and then returns all that was sent to it."""

    def script(peer: Peer) -> bytes:
        peer.upgrade()
        for data in sent:
            peer.send(data)
        asked.wait()
        return peer.drained()

    return script


@pytest.mark.parametrize(
    ("secure", "repeated", "count"),
    [(False, 5000, 30), (False, 10, 10_000), (True, 10, 10_000)],
    ids=["ws, long", "ws", "wss"],
)
def test_an_exchange_that_does_not_read_is_given_up_in_time_and_no_frame_follows_a_torn_one(
    authority: Authority, small_buffers: None, monkeypatch: pytest.MonkeyPatch, secure: bool, repeated: int, count: int
) -> None:
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.3)
    asked = gevent.event.Event()
    commands = [b"%07d" % number * repeated for number in range(count)]
    script = not_reading_until(asked, frame(TEXT, b"first"), frame(PING, b"p") + frame(TEXT, b"second"))
    with serving(script, tls=authority.context() if secure else None, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        feed._reader.set_mask_key(bytes)
        messages = lists_of(feed)
        assert next(messages) == [b"first"]
        began = time.monotonic()
        with pytest.raises(Disconnected) as ended:
            feed.send(commands)
        assert 0.25 < time.monotonic() - began < 10
        assert str(ended.value) == f"{server.url} does not read what is sent to it"
        monkeypatch.setattr(websocket, "SEND_SECONDS", 60)
        began = time.monotonic()
        with pytest.raises(Disconnected):
            feed.send([b"once more"])
        assert time.monotonic() - began < 10, "it is not tried again"
        gevent.spawn_later(0.1, asked.set)  # From now on there would be room for another frame.
        feed._reader.send_close()
        feed._reader.pong(b"p")
        feed.close()
        feed.send([b"after close()"])
        drained = server.result()
    whole = b"".join([masked(TEXT, command) for command in commands])
    assert 0 < len(drained) < len(whole)
    assert whole.startswith(drained)


def test_an_exchange_that_reads_too_slowly_is_given_up_in_time(
    small_buffers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is one for all commands: a little that is read now and then does not prolong it."""
    monkeypatch.setattr(websocket, "SEND_SECONDS", 0.5)

    def script(peer: Peer) -> None:
        peer.upgrade()
        while peer.sock.recv(500):
            gevent.sleep(0.02)

    with serving(script, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        began = time.monotonic()
        with pytest.raises(Disconnected, match="does not read what is sent to it"):
            feed.send([b"x" * 100_000] * 10)
        assert 0.45 < time.monotonic() - began < 10
        feed.close()


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_no_command_follows_an_answer_that_was_torn(
    authority: Authority, small_buffers: None, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    monkeypatch.setattr(sender, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(websocket, "SEND_SECONDS", 60)
    asked = gevent.event.Event()
    script = not_reading_until(asked, frame(PING, b"p" * 125) * 3000 + frame(TEXT, b"behind"))
    with serving(script, tls=authority.context() if secure else None, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        feed._reader.set_mask_key(bytes)
        assert next(lists_of(feed)) == [b"behind"]
        began = time.monotonic()
        with pytest.raises(Disconnected, match="does not read what is sent to it"):
            feed.send([b"command"])
        assert time.monotonic() - began < 10
        asked.set()
        feed.close()
        drained = server.result()
    answers = masked(PONG, b"p" * 125) * 3000
    assert 0 < len(drained) < len(answers)
    assert answers.startswith(drained)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_command_to_an_exchange_that_has_left_costs_nothing_that_it_has_sent(
    authority: Authority, secure: bool, reset: bool
) -> None:
    """What it has sent before is still received, and so is its reason."""
    payloads = [b"%d" % number for number in range(100)]

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(*payloads)
        peer.send(frame(BINARY, b"last") + close_frame(1001, b"maintenance"))
        gevent.sleep(0.1)  # What is still on its way would be lost with a reset.
        if reset:
            peer.reset()

    with serving(script, tls=authority.context() if secure else None) as server:
        feed = connector(server.url)
        feed.connect()
        server.result()
        for _ in range(3):
            feed.send(COMMANDS)
            gevent.sleep(0.05)
        received, end = collect(feed)
    assert received == [*payloads, b"last"]
    assert end == f"{server.url} closed the connection: code 1001, maintenance"


def test_after_close_nothing_is_sent() -> None:
    with serving(upgrading) as server:
        feed = connector(server.url)
        feed.connect()
        feed.close()
        feed.send(COMMANDS)
        _, frames = server.result()
    assert frames == [(CLOSE, b"\x03\xe9")]


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_close_while_a_command_is_being_sent(
    authority: Authority, small_buffers: None, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """The close frame must not be sent into the middle of the command; and the command that is cut off is no error."""
    monkeypatch.setattr(websocket, "SEND_SECONDS", 60)
    asked = gevent.event.Event()
    commands = [b"%07d" % number * 10 for number in range(10_000)]
    script = not_reading_until(asked)
    with serving(script, tls=authority.context() if secure else None, receive_buffer=4096) as server:
        feed = connector(server.url)
        feed.connect()
        feed._reader.set_mask_key(bytes)
        sending = gevent.spawn(feed.send, commands)
        gevent.sleep(0.2)
        assert not sending.ready()
        began = time.monotonic()
        asked.set()
        feed.close()
        sending.get()
        assert time.monotonic() - began < 10
        drained = server.result()
    whole = b"".join([masked(TEXT, command) for command in commands])
    assert 0 < len(drained) < len(whole)
    assert whole.startswith(drained)


# TLS.


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "WEBSOCKET_CLIENT_CA_BUNDLE"])
def test_tls(authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv(variable, str(authority.path))
    payloads = [b"%d" % number * number for number in range(1000)]

    def script(peer: Peer) -> Any:
        peer.upgrade()
        command = peer.receive()
        peer.send(frame(TEXT, payloads[0], fin=True) + b"".join([frame(TEXT, payload) for payload in payloads[1:]]))
        peer.send(frame(PING, b"tls") + frame(BINARY, b"b" * 200_000) + close_frame(1000, b"done"))
        return command, peer.received()

    with serving(script, tls=authority.context()) as server:
        feed = connector(server.url, b'{"id":1}')
        feed.connect()
        received, end = collect(feed)
        assert server.result() == ((TEXT, b'{"id":1}'), [(PONG, b"tls"), (CLOSE, b"\x03\xe8")])
    assert received == [*payloads, b"b" * 200_000]
    assert end is not None
    assert end.endswith("code 1000, done")


def test_tls_records_are_drained_in_batches(authority: Authority) -> None:
    payloads = [b"record %d" % number for number in range(2000)]

    def script(peer: Peer) -> Any:
        peer.upgrade()
        for payload in payloads:
            peer.text(payload)
        return peer.received()

    with serving(script, tls=authority.context()) as server:
        feed = connector(server.url)
        feed.connect()
        eventually(lambda: server.peers[0].sent > 2000 * 12)
        batches = []
        for batch in lists_of(feed):
            batches.append(batch)
            if sum(map(len, batches)) == len(payloads):
                feed.close()
    assert [payload for batch in batches for payload in batch] == payloads
    assert len(batches) < 20


@pytest.mark.parametrize("reset", [True, False])
def test_everything_whole_comes_before_the_end_of_tls(authority: Authority, reset: bool) -> None:
    """The end is found while the records before it are read, and must not cost them."""
    payloads = [b"record %d" % number for number in range(100)]

    def script(peer: Peer) -> None:
        peer.upgrade()
        for payload in payloads:
            peer.text(payload)
        gevent.sleep(0.1)  # What is still on its way would be lost with a reset.
        if reset:
            peer.reset()

    with serving(script, tls=authority.context()) as server:
        feed = connector(server.url)
        feed.connect()
        server.result()
        gevent.sleep(0.05)
        received, end = collect(feed)
    assert received == payloads
    assert end is not None
    # Python before 3.11.9 reports a reset as an end.
    assert end.endswith(("Connection reset by peer", "without a close frame") if reset else "without a close frame")


def test_close_under_load_with_tls_never_yields_encrypted_bytes(authority: Authority) -> None:
    """Closing from another greenlet while the reader is in the middle of a frame."""
    message = b'{"pad":"' + b"x" * 300 + b'"}'

    def script(peer: Peer) -> None:
        peer.upgrade()
        with contextlib.suppress(OSError):
            while True:
                peer.send(frame(TEXT, message) * 200)

    with serving(script, tls=authority.context()) as server:
        for _ in range(5):
            feed = connector(server.url)
            feed.connect()
            collecting = gevent.spawn(collect, feed)
            gevent.sleep(0.1)
            feed.close()
            received, end = collecting.get()
            assert end is None
            assert set(received) == {message}


def test_silence_and_close_with_tls(authority: Authority) -> None:
    with serving(answer_and_hold, tls=authority.context()) as server:
        feed = connector(server.url, idle_timeout_seconds=0.2)
        feed.connect()
        _, end = collect(feed)
        assert end is not None
        assert "not even an answer to our ping" in end
        feed = connector(server.url)
        feed.connect()
        collecting = gevent.spawn(collect, feed)
        gevent.sleep(0.05)
        feed.close()
        assert collecting.get() == ([], None)
        assert server.result(1) == [(CLOSE, b"\x03\xe9")]


def test_a_certificate_for_another_host(authority: Authority) -> None:
    with serving(upgrading, tls=authority.context("exchange.test")) as server:
        text = refusal(server.url)
    assert f"cannot connect to {server.url}: its TLS certificate is not valid: " in text
    assert "127.0.0.1" in text.partition("not valid")[2]


def test_an_expired_certificate(authority: Authority) -> None:
    with serving(upgrading, tls=authority.context(days=-1)) as server:
        assert "its TLS certificate is not valid: certificate has expired" in refusal(server.url)


def test_an_unknown_authority(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Other Authority")
    with serving(upgrading, tls=other.context()) as server:
        assert re.search("its TLS certificate is not valid: .*(issuer|self.signed)", refusal(server.url))


def test_tls_to_a_server_without_it() -> None:
    def script(peer: Peer) -> Any:
        peer.sock.recv(100)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return peer.drained()

    with serving(script) as server:
        assert ": TLS failed: " in refusal(server.url.replace("ws:", "wss:"))


# Proxies.


def proxying(peer: Peer) -> Any:
    """A proxy that is also the exchange behind it."""
    tunnel = peer.request()
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    request = peer.upgrade()
    peer.text(b"through the tunnel")
    peer.received()
    return tunnel.line, request.line


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
@pytest.mark.parametrize("direct", [True, False])
def test_proxies(monkeypatch: pytest.MonkeyPatch, variable: str, direct: bool) -> None:
    def exchange(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"direct")
        peer.received()

    with serving(proxying) as proxy, serving(exchange) as server:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        feed = connector(server.url, direct=direct)
        feed.connect()
        assert next(lists_of(feed)) == [b"direct" if direct else b"through the tunnel"]
        feed.close()
        if not direct:
            assert proxy.result() == (f"CONNECT 127.0.0.1:{server.port} HTTP/1.1", "GET /feed/v1 HTTP/1.1")
        assert (proxy.connections, server.connections) == ((0, 1) if direct else (1, 0))


def test_a_proxy_whose_answer_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read byte by byte without ever waiting, so no deadline can end it, only a bound on its length."""
    with serving(endless_head) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert "does not end" in refusal("ws://exchange.example/", connect_seconds=5)


def test_a_proxy_that_cannot_be_reached_is_named_as_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert "the proxy cannot be reached: Connection refused" in refusal("ws://exchange.example/")


@pytest.mark.parametrize(
    ("status", "login", "reason"),
    [
        ("403 Forbidden", "user:s3cr3t@", "the proxy does not connect: it answered 403"),
        ("407 Proxy Authentication Required", "", "the proxy does not connect: it demands a user name and a password"),
        ("407 Mine", "user:s3cr3t@", "the proxy does not connect: it refused the user name and the password"),
    ],
)
def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch, status: str, login: str, reason: str) -> None:
    with serving(answering(response(status))) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{login}127.0.0.1:{proxy.port}")
        text = refusal("ws://exchange.test/feed")
    assert text.endswith(reason)
    assert "s3cr3t" not in text
