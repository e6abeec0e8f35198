"""Requests over HTTP: connections that stay open, one deadline, a bound on everything, and errors without secrets."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from exchange_server import Authority, Peer, dripping, eventually, flooding, serving
from proxies import http_proxy, socks_proxy

from ssmd.connector.rest.client import RestClient
from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.errors import ConfigError, ConnectError

KEY = "canary-0123456789abcdef-canary"
MOST = 1 << 20


@pytest.fixture(autouse=True)
def no_proxy_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def response(body: bytes, status: str = "200 OK", fields: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join([b"%x;name=value\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]) + last


def answering(*answers: bytes, stays: bool = True) -> Callable[[Peer], Any]:
    """A script that gives these answers, one for each request; then it waits for the end, or hangs up."""

    def script(peer: Peer) -> Any:
        requests = []
        for answer in answers:
            requests.append(peer.request())
            peer.read(int(requests[-1].headers.get("Content-Length", "0")))
            peer.send(answer)
        return requests, peer.drained() if stays else b""

    return script


def get(client: RestClient, url: str, seconds: float = 20, most: int = MOST, **fields: Any) -> HttpAnswer:
    headers = fields.pop("headers", {"X-Key": KEY})
    return client.request(HttpRequest("GET", url, headers, hidden=[KEY], **fields), seconds, most)


def asked(script: bytes | Callable[[Peer], Any], *, seconds: float = 20, most: int = MOST) -> HttpAnswer:
    """Return the answer of a server with this script or answer."""
    with serving(answering(script) if isinstance(script, bytes) else script) as server:
        client = RestClient()
        try:
            return get(client, f"http://127.0.0.1:{server.port}/{KEY}/a?key={KEY}", seconds, most)
        finally:
            client.close()


def failing(script: bytes | Callable[[Peer], Any], *, seconds: float = 20, most: int = MOST) -> str:
    """Return why there is no answer, without where it was expected from. No piece of the key may be in it."""
    with pytest.raises(ConnectError) as caught:
        asked(script, seconds=seconds, most=most)
    assert type(caught.value) is ConnectError
    text = str(caught.value)
    assert text.isprintable()
    assert "canary" not in text
    begin, _, why = text.partition(": ")
    assert begin.startswith("no usable answer from http://127.0.0.1")
    return why


def test_an_answer_with_its_status_headers_body_and_time() -> None:
    def script(peer: Peer) -> Any:
        request = peer.request()
        gevent.sleep(0.1)
        peer.send(response(b'{"a":1}', "201 Created", "ETag: x\r\nVary: a\r\nvary: b\r\n"))
        return request

    with serving(script) as server:
        answer = get(RestClient(), f"http://127.0.0.1:{server.port}/markets?limit=1&cursor=a%20b")
        request = server.result(0)
    assert (answer.status, answer.body) == (201, b'{"a":1}')
    assert answer.headers == {"etag": "x", "vary": "a, b", "content-length": "7"}
    assert 0.1 <= answer.seconds < 20
    assert request.line == "GET /markets?limit=1&cursor=a%20b HTTP/1.1"
    assert request.headers["Host"] == f"127.0.0.1:{server.port}"
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["X-Key"] == KEY
    assert "Connection" not in request.headers


@pytest.mark.parametrize(
    "answer",
    [
        response(b"body"),
        chunked(b"body"),
        chunked(b"b", b"o", b"d", b"y", last=b"0\r\nX-Trailer: x\r\n\r\n"),
        response(gzip.compress(b"body"), fields="Content-Encoding: gzip\r\n"),
        response(zlib.compress(b"body"), fields="Content-Encoding: deflate\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"body"),
    ],
    ids=["length", "chunked", "trailer", "gzip", "deflate", "continue"],
)
def test_the_connection_stays_open_after_an_answer_of_every_form(answer: bytes) -> None:
    client = RestClient()
    others = [response(b"no", "404 Not Found"), response(b"", "304 No")]
    with serving(answering(answer, answer, *others, answer)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        answers = [get(client, url) for _ in range(5)]
        client.close()
        requests, rest = server.result(0)
        assert server.connections == 1
    assert [(answer.status, answer.body) for answer in answers] == [
        *[(200, b"body")] * 2, (404, b"no"), (304, b""), (200, b"body")
    ]
    assert (len(requests), rest) == (5, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        response(b"body", fields="Connection: close\r\n"),
    ],
    ids=["HTTP/1.0", "no length", "close"],
)
def test_a_server_that_closes_the_connection_is_asked_on_another(answer: bytes) -> None:
    client = RestClient()
    with serving(answering(answer, stays=False)) as server:
        for _ in range(3):
            assert get(client, f"http://127.0.0.1:{server.port}/").body == b"body"
        assert server.connections == 3


def test_a_connection_that_has_ended_while_nothing_was_asked() -> None:
    """Whether its end is seen before the request is sent, or only after it."""

    def hangs_up(peer: Peer) -> None:
        peer.request()
        peer.send(response(b"first"))
        peer.request()  # And then it hangs up, without an answer.

    scripts = iter([answering(response(b"first"), stays=False), hangs_up, answering(response(b"last"))])
    client = RestClient()
    with serving(lambda peer: next(scripts)(peer)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert get(client, url).body == b"first"
        server.result(0)
        assert [get(client, url).body for _ in range(2)] == [b"first", b"last"]
        assert server.connections == 3


def test_what_may_change_something_is_not_sent_twice() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(response(b"first"))
        peer.request()

    client = RestClient()
    with serving(script) as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert get(client, url).body == b"first"
        with pytest.raises(ConnectError, match="it hung up without an answer"):
            client.request(HttpRequest("POST", url), 20, MOST)
        assert server.connections == 1


def test_what_comes_behind_an_answer_is_no_answer_to_the_next_request() -> None:
    forged = response(b"real") + response(b"forged")
    client = RestClient()
    with serving(answering(forged)) as server:
        for _ in range(2):
            assert get(client, f"http://127.0.0.1:{server.port}/").body == b"real"
        assert server.connections == 2


def test_the_length_may_be_less_than_what_comes() -> None:
    assert asked(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}further").body == b"{}"


GB = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
LONG = f"its answer is longer than {MOST:,} bytes"
BAD: dict[str, tuple[bytes, str]] = {
    "too long": (response(b" " * (MOST + 1)), LONG),
    "1 GB": (GB, LONG),
    "more digits than a number has": (
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}", "its answer did not end within 0.5 s"
    ),
    "a chunk of 1 TB": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n{", "its answer did not end within 0.5 s"
    ),
    "a bomb": (response(gzip.compress(b" " * 3_000_000), fields="Content-Encoding: gzip\r\n"), LONG),
    "not gzip": (
        response(b"{}", fields="Content-Encoding: gzip\r\n"),
        "its answer is compressed in a way that was not asked for, or damaged",
    ),
    "half of gzip": (
        response(gzip.compress(b"{}")[:-4], fields="Content-Encoding: gzip\r\n"),
        "its answer is compressed in a way that was not asked for, or damaged",
    ),
    "an endless line": (b"HTTP/1.1 200 " + b"x" * 200_000, "its answer does not end"),
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "it does not answer in HTTP"),
    "not HTTP": (b"220 mail.example \x1b[2J " + KEY.encode() + b"\r\n\r\n", "it does not answer in HTTP"),
    "no chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "its answer is cut off"),
}


@pytest.mark.parametrize(("answer", "expected"), BAD.values(), ids=BAD)
def test_answers_that_are_not_what_they_should_be(answer: bytes, expected: str) -> None:
    assert failing(answer, seconds=0.5 if "0.5" in expected else 20) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", "it hung up without an answer"),
        (response(b'{"a":1}')[:-3], "its answer is cut off after 4 of 7 bytes"),
        (chunked(b"{}")[:-5], "its answer is cut off"),
    ],
)
def test_a_server_that_hangs_up_in_its_answer(answer: bytes, expected: str) -> None:
    assert failing(answering(answer, stays=False)) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (lambda peer: peer.drained(), "no answer within 0.4 s"),
        (dripping(response(b" " * 500)), "its answer did not end within 0.4 s"),
        (dripping(b"HTTP/1.1 200 OK\r\n" + b"X" * 900), "its answer did not end within 0.4 s"),
    ],
    ids=["never an answer", "a dripped body", "a dripped head"],
)
def test_one_deadline_covers_all(script: Callable[[Peer], Any], expected: str) -> None:
    began = time.monotonic()
    assert failing(script, seconds=0.4) == expected
    assert time.monotonic() - began < 10


def test_the_deadline_covers_a_request_that_the_server_does_not_read() -> None:
    with serving(lambda peer: gevent.sleep(60), receive_buffer=4096) as server:
        request = HttpRequest("POST", f"http://127.0.0.1:{server.port}/", body=bytes(32 << 20))
        with pytest.raises(ConnectError, match=r": no answer within 0\.4 s$"):
            RestClient().request(request, 0.4, MOST)


@pytest.mark.parametrize(
    ("begin", "piece", "expected"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "its answer does not end"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 5000, LONG),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n" * 1000, LONG),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000, LONG),
    ],
    ids=["100 Continue", "body", "chunks", "trailers"],
)
def test_an_endless_answer_is_not_read_to_its_end(begin: bytes, piece: bytes, expected: str) -> None:
    with serving(flooding(begin, piece)) as server:
        with pytest.raises(ConnectError) as caught:
            get(RestClient(), f"http://127.0.0.1:{server.port}/")
        server.result()
        assert server.peers[0].sent < 32 << 20, "more than sockets buffer"
    assert str(caught.value).endswith(f": {expected}")


@pytest.mark.parametrize("length", ["", "Content-Length: 99999999999\r\n"])
def test_others_run_while_an_answer_comes_without_a_pause(length: str) -> None:
    """And the deadline ends it: a fast server never lets the client wait."""
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0.001)  # Not 0: then the thread that resolves names would hardly run.

    begin = f"HTTP/1.1 200 OK\r\n{length}\r\n".encode()
    with serving(flooding(begin, b"x" * 65536)) as server:
        other = gevent.spawn(count)
        with pytest.raises(ConnectError, match=r"its answer did not end within 1 s"):
            get(RestClient(), f"http://127.0.0.1:{server.port}/", 1, 1 << 40)
        other.kill()
    assert turns > 20


def test_a_bomb_takes_little_memory() -> None:
    bomb = response(gzip.compress(b" " * 50_000_000), fields="Content-Encoding: gzip\r\n")
    tracemalloc.start()
    try:
        failing(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("script", "status", "body"),
    [
        (response(b"no key", "401 Unauthorized"), 401, b"no key"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 1000\r\n\r\nslow down", 503, b"slow down"),
        (flooding(b"HTTP/1.1 500 No\r\n\r\n", b"yyyyy"), 500, b"y"),
        (response(b"<html>", "502 Bad", "Content-Encoding: br\r\n"), 502, b""),
        (response(gzip.compress(b"slow"), "429 No", "Content-Encoding: gzip\r\n"), 429, b"slow"),
    ],
    ids=["whole", "cut off", "endless", "Brotli", "gzip"],
)
def test_an_answer_with_another_status_is_returned_with_the_beginning_of_its_body(
    script: Any, status: int, body: bytes
) -> None:
    answer = asked(script, seconds=0.5 if status == 503 else 20)
    assert answer.status == status
    assert answer.body.rstrip(b"y") == body.rstrip(b"y")
    assert len(answer.body) < 32_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with serving(answering(response(b"{}"))) as target:
        answer = asked(response(b"", f"{status} Else", f"Location: http://127.0.0.1:{target.port}/\r\n"))
        gevent.sleep(0.05)
        assert target.connections == 0
    assert answer.status == status


def test_a_refused_port_and_a_host_that_cannot_be_resolved() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError, match=f"^no usable answer from http://127.0.0.1:{port}: Connection refused$"):
        get(RestClient(), f"http://127.0.0.1:{port}/{KEY}")
    with pytest.raises(ConnectError) as caught:
        get(RestClient(), f"http://{KEY}.invalid/")
    assert str(caught.value).startswith("no usable answer from http://...: its host name cannot be resolved")


@pytest.mark.parametrize(
    ("url", "headers", "expected"),
    [
        ("ftp://host/", {}, "its address must begin with https://, not with ftp://"),
        (f"https://user:{KEY}@host/", {}, "its address must not hold a user name or a password"),
        (f"https://host/{KEY} x", {}, "its address must be a URL in plain ASCII without spaces"),
        (f"https://[{KEY}/", {}, "its address must have a valid host"),
        ("https://host/", {"X-Key": f"{KEY}\r\nX: y"}, "its header X-Key has a character that no header may have"),
    ],
)
def test_a_request_that_is_not_made(url: str, headers: dict[str, str], expected: str) -> None:
    with pytest.raises(ConnectError) as caught:
        get(RestClient(), url, headers=headers)
    assert str(caught.value).startswith(f"a request cannot be made: {expected}")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("where", ["connecting", "waiting", "in the body"])
def test_close_ends_a_request(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = response(b"x" * 9)[:-3] if where == "in the body" else b""
    with serving(answering(begun) if begun else lambda peer: peer.drained()) as server:
        if where == "connecting":
            monkeypatch.setattr("ssmd.connector.rest.client.open_socket", lambda url, proxy: gevent.sleep(60))
        client = RestClient()
        asking = gevent.spawn(pytest.raises, ConnectError, get, client, f"http://127.0.0.1:{server.port}/", 60)
        eventually(lambda: where == "connecting" or server.peers)
        gevent.sleep(0.05)
        began = time.monotonic()
        client.close()
        client.close()
        assert str(asking.get().value).endswith(": the request was given up")
        assert time.monotonic() - began < 10
        with pytest.raises(ConnectError, match="the request was given up"):
            get(client, f"http://127.0.0.1:{server.port}/")


def test_close_ends_a_connection_that_is_kept() -> None:
    client = RestClient()
    with serving(answering(response(b"{}"))) as server:
        get(client, f"http://127.0.0.1:{server.port}/")
        client.close()
        assert server.result(0)[1] == b""


def test_a_bug_is_no_missing_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(url: str, proxy: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("ssmd.connector.rest.client.open_socket", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        get(RestClient(), "http://127.0.0.1:9/")


def test_tls_with_a_certificate_that_is_right_and_one_that_is_not(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = RestClient()
    answer = response(b" " * 200_000)
    with serving(answering(answer, answer), tls=authority.context()) as server:
        for _ in range(2):
            assert len(get(client, f"https://127.0.0.1:{server.port}/").body) == 200_000
        assert server.connections == 1
    wrong = pytest.raises(ConnectError, match=": its TLS certificate is not valid: ")
    with serving(answering(answer), tls=authority.context("other.test")) as server, wrong:
        get(client, f"https://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(("proxy", "scheme"), [(http_proxy, "http"), (socks_proxy, "socks5h")])
def test_the_proxy_of_the_environment(proxy: Any, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    with serving(answering(response(b"{}"))) as server, serving(proxy(seen)) as via:
        monkeypatch.setenv("http_proxy", f"{scheme}://127.0.0.1:{via.port}")
        client = RestClient()
        assert get(client, f"http://127.0.0.1:{server.port}/").body == b"{}"
        client.close()
        assert seen
        assert via.connections == 1
        assert get(RestClient(direct=True), f"http://127.0.0.1:{server.port}/").body == b"{}"
        assert via.connections == 1
    monkeypatch.setenv("http_proxy", "ftp://x")
    with pytest.raises(ConfigError, match="http_proxy"):
        get(RestClient(), "http://127.0.0.1/")
