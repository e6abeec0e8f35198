"""SOCKS5 proxies: logging in, and what each of their refusals means."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
import websocket
from exchange_server import Peer, serving
from proxies import socks_proxy

from ssmd.connector.socks import connect_through_socks5

Script = Callable[[Peer], Any]


def connect(script: Script, host: str = "127.0.0.1", port: int = 9, login: tuple[str, str] = ("", "")) -> bytes:
    """Connect through a proxy, send a word and return what comes back."""
    with serving(script) as proxy, socket.create_connection(("127.0.0.1", proxy.port)) as sock:
        connect_through_socks5(sock, host, port, *login)
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while part := sock.recv(100):
                data += part
        return data


def echo(peer: Peer) -> None:
    peer.send(peer.drained())


@pytest.mark.parametrize("login", [None, ("user", "pässword"), ("u" * 255, "p" * 255), ("user", "")])
def test_the_connection_is_ready_to_be_used(login: tuple[str, str] | None) -> None:
    with serving(echo) as server:
        seen: list[str] = []
        given = login or ("", "")
        assert connect(socks_proxy(seen, login=login), "127.0.0.1", server.port, given) == b"hello"
    assert seen == [f"127.0.0.1:{server.port}"]


@pytest.mark.parametrize("host", ["exchange.example", "::1", "10.0.0.1", "b\u00fccher.example"])
def test_names_and_addresses_of_all_kinds(host: str) -> None:
    with serving(echo) as server:
        seen: list[str] = []
        assert connect(socks_proxy(seen, to=("127.0.0.1", server.port)), host, 443) == b"hello"
    assert seen == [f"{host.encode('idna').decode() if 'cher' in host else host}:443"]


def saying(answer: bytes) -> Script:
    """A script that sends this at once, whatever it is asked for."""
    return lambda peer: (peer.send(answer), peer.drained())


@pytest.mark.parametrize(
    ("script", "login", "reason"),
    [
        (socks_proxy([], login=("user", "right")), ("", ""), "it demands a user name and a password"),
        (socks_proxy([], login=("user", "right")), ("user", "wrong"), "it refused the user name and the password"),
        (saying(b"\x05\xff"), ("user", "right"), "it accepts none of our ways to log in"),
        (socks_proxy([], reply=2), ("", ""), "its rules do not allow this connection"),
        (socks_proxy([], reply=4), ("", ""), "the host is unreachable, or its name cannot be resolved"),
        (socks_proxy([], reply=5), ("", ""), "connection refused"),
        (socks_proxy([], reply=99), ("", ""), "it replied 99"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ("", ""), "it does not answer in SOCKS5"),
        (saying(b"\x05\x00\x04\x00\x00\x01"), ("", ""), "it does not answer in SOCKS5"),
        (saying(b"\x05\x00\x05\x00\x00\x07"), ("", ""), "it does not answer in SOCKS5"),
        (lambda peer: peer.read(3), ("", ""), "it hung up"),
        (lambda peer: peer.drained(), ("u" * 256, "right"), "a user name or a password has at most 255 bytes"),
    ],
)
def test_each_refusal_has_its_reason(script: Script, login: tuple[str, str], reason: str) -> None:
    with pytest.raises(websocket.WebSocketProxyException) as refused:
        connect(script, login=login)
    assert str(refused.value) == reason
