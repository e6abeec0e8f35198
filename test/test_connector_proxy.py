"""Proxies by curl's conventions: which one is used for which exchange, and that real ones lead there."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from exchange_server import Authority, Peer, close_frame, lists_of, serving
from proxies import http_proxy, socks_proxy

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.proxy import proxy_for
from ssmd.connector.websocket import WebSocketConnector
from ssmd.errors import ConfigError, ConnectError, Disconnected
from ssmd.exchange.generic.dialect import Generic

EXCHANGE = "wss://ws.exchange.example/feed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("http://proxy.example:3128/", "http://proxy.example:3128"),
        ("HTTP://Proxy.Example", "http://proxy.example:1080"),
        (" proxy.example:3128\n", "http://proxy.example:3128"),
        ("10.0.0.1", "http://10.0.0.1:1080"),
        ("[::1]:3128", "http://[::1]:3128"),
        ("user:s3cr3t@proxy.example:3128", "http://proxy.example:3128"),
        ("http://user:s3cr3t@proxy.example", "http://proxy.example:1080"),
        ("socks5://proxy.example", "socks5://proxy.example:1080"),
        ("socks5h://user:s3cr3t@proxy.example:9050", "socks5h://proxy.example:9050"),
    ],
)
def test_a_proxy_is_named_with_or_without_a_scheme(value: str, expected: str) -> None:
    assert str(proxy_for(EXCHANGE, {"HTTPS_PROXY": value})) == expected


def test_user_and_password_may_be_percent_encoded() -> None:
    proxy = proxy_for(EXCHANGE, {"HTTPS_PROXY": "http://us%40er:p%3Aw%2F@proxy.example"})
    assert proxy is not None
    assert (proxy.user, proxy.password) == ("us@er", "p:w/")


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("wss://x/", {"https_proxy": "a", "HTTPS_PROXY": "b", "all_proxy": "c"}, "a"),
        ("wss://x/", {"https_proxy": "", "HTTPS_PROXY": "b", "all_proxy": "c"}, "b"),
        ("wss://x/", {"http_proxy": "a", "all_proxy": "c", "ALL_PROXY": "d"}, "c"),
        ("wss://x/", {"HTTP_PROXY": "a", "ALL_PROXY": "d"}, "d"),
        ("wss://x/", {"HTTP_PROXY": "a"}, None),
        ("ws://x/", {"HTTPS_PROXY": "a"}, None),
        ("ws://x/", {"HTTP_PROXY": "a", "ALL_PROXY": "b"}, "a"),
        ("ws://x/", {"ALL_PROXY": "  "}, None),
        ("ws://x/", {}, None),
    ],
)
def test_which_variable_counts(url: str, environ: dict[str, str], expected: str | None) -> None:
    proxy = proxy_for(url, environ)
    assert (proxy and proxy.host) == expected


@pytest.mark.parametrize(
    ("host", "no_proxy", "excepted"),
    [
        ("ws.exchange.example", "*", True),
        ("ws.exchange.example", "other, *", True),
        ("ws.exchange.example", "exchange.example", True),
        ("ws.exchange.example", ".exchange.example", True),
        ("exchange.example", ".exchange.example", True),
        ("WS.Exchange.Example", "ws.exchange.EXAMPLE", True),
        ("ws.exchange.example", "a.test, exchange.example.", True),
        ("ws.exchange.example", "a.test exchange.example", True),
        ("ws.exchange.example", "change.example", False),
        ("ws.exchange.example", "exchange", False),
        ("ws.exchange.example", "", False),
        ("ws.exchange.example", ",,", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.0.0/24", False),
        ("10.1.2.3", "2.3", False),
        ("[::1]", "::1", True),
        ("[fd00::1]", "[fd00::]/8", False),
        ("[fd00::1]", "fd00::/8", True),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_which_hosts_are_excepted(host: str, no_proxy: str, excepted: bool, name: str) -> None:
    proxy = proxy_for(f"wss://{host}:8443/feed", {"ALL_PROXY": "proxy.example", name: no_proxy})
    assert (proxy is None) == excepted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("socks4://user:s3cr3t@proxy.example", "HTTPS_PROXY names a proxy of a kind that ssmd cannot use: socks4://"),
        ("https://user:s3cr3t@proxy.example", "HTTPS_PROXY names a proxy of a kind that ssmd cannot use: https://"),
        ("http://user:s3cr3t@:3128", "HTTPS_PROXY does not name a proxy; write it as http://host:port"),
        ("http://s3cr3t:99999", "HTTPS_PROXY does not name a proxy"),
        ("http://s3cr3t:port", "HTTPS_PROXY does not name a proxy"),
        ("http://s3cr3t:0", "HTTPS_PROXY does not name a proxy"),
        ("http://s3 cr3t", "HTTPS_PROXY does not name a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.delenv("https_proxy", raising=False)
    with pytest.raises(ConfigError) as refused:
        connector(EXCHANGE)
    assert str(refused.value).startswith(expected)
    assert "s3cr3t" not in str(refused.value)
    assert ConfigError.exit_code == 78


def connector(url: str) -> WebSocketConnector:
    return WebSocketConnector(url, Generic()({}, {}), WebSocketConfig(endpoint=url), connect_seconds=5)


def collected(url: str) -> list[bytes]:
    """Return what an exchange sends until it closes the connection."""
    feed = connector(url)
    feed.connect()
    received: list[bytes] = []
    with pytest.raises(Disconnected, match="code 1000"):
        received.extend(payload for payloads in lists_of(feed) for payload in payloads)
    return received


def exchange(peer: Peer) -> Any:
    peer.upgrade()
    peer.text(b"through the proxy")
    peer.send(close_frame(1000))
    return peer.received()


@pytest.fixture(autouse=True)
def no_proxy_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("kind", ["http://", "socks5://", "socks5h://"])
def test_a_real_proxy_leads_to_the_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, secure: bool
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    seen: list[str] = []
    script = http_proxy(seen) if kind == "http://" else socks_proxy(seen)
    with serving(script) as proxy, serving(exchange, tls=authority.context() if secure else None) as server:
        monkeypatch.setenv("ALL_PROXY", f"{kind}127.0.0.1:{proxy.port}")
        assert collected(server.url) == [b"through the proxy"]
        assert (proxy.connections, server.connections) == (1, 1)
        place = f"127.0.0.1:{server.port}"
    assert seen == ([f"CONNECT {place} HTTP/1.1"] if kind == "http://" else [place])


@pytest.mark.parametrize("kind", ["http://", "socks5h://"])
def test_the_proxy_resolves_the_name_of_the_exchange(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    seen: list[str] = []
    with serving(exchange) as server:
        to = ("127.0.0.1", server.port)
        with serving(http_proxy(seen, to) if kind == "http://" else socks_proxy(seen, to=to)) as proxy:
            monkeypatch.setenv("http_proxy", f"{kind}127.0.0.1:{proxy.port}")
            assert collected("ws://exchange.invalid:8443/feed") == [b"through the proxy"]
    assert seen == [{"http://": "CONNECT exchange.invalid:8443 HTTP/1.1", "socks5h://": "exchange.invalid:8443"}[kind]]


@pytest.mark.parametrize(
    ("login", "sent"), [("user:s3cr3t", b"user:s3cr3t"), ("user", b"user:"), ("a:" + "b" * 99, b"a:" + b"b" * 99)]
)
def test_an_address_of_ipv6_stands_in_brackets_in_a_connect(
    monkeypatch: pytest.MonkeyPatch, login: str, sent: bytes
) -> None:
    seen: list[str] = []
    with serving(exchange) as server, serving(http_proxy(seen, ("127.0.0.1", server.port))) as proxy:
        monkeypatch.setenv("http_proxy", f"{login}@127.0.0.1:{proxy.port}")
        assert collected("ws://[fd00::1]:8443/feed") == [b"through the proxy"]
    assert seen == ["CONNECT [fd00::1]:8443 HTTP/1.1", f"Basic {base64.b64encode(sent).decode()}"]


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("http://user:s3cr3t@127.0.0.1:9", "the proxy cannot be reached: Connection refused"),
        ("socks5://user:s3cr3t@127.0.0.1:9", "the proxy cannot be reached: Connection refused"),
        ("http://user:s3cr3t@proxy.invalid:9", "the proxy's host name cannot be resolved: "),
    ],
)
def test_an_error_names_the_proxy_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, reason: str
) -> None:
    monkeypatch.setenv("http_proxy", variable)
    feed = WebSocketConnector(
        "ws://exchange.invalid/", Generic()({}, {}), WebSocketConfig(endpoint="ws://x/"), connect_seconds=14
    )
    with pytest.raises(ConnectError) as failed:
        feed.connect()
    shown = variable.replace("user:s3cr3t@", "")
    assert str(failed.value).startswith(f"cannot connect to ws://exchange.invalid/ through the proxy {shown}: {reason}")
    assert "s3cr3t" not in str(failed.value)
