"""Real proxies, as scripts of exchange_server: HTTP CONNECT and SOCKS5, which connect and relay."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from exchange_server import Peer

Script = Callable[[Peer], Any]


def relay(peer: Peer, host: str, port: int) -> None:
    """Connect to a place, and pass on what either side sends until both have ended."""
    with socket.create_connection((host, port)) as target:
        back = gevent.spawn(_copy, target, peer.sock)
        _copy(peer.sock, target)
        back.join()


def _copy(source: Any, sink: Any) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def http_proxy(seen: list[str], to: tuple[str, int] | None = None) -> Script:
    """A proxy that adds each CONNECT, and its Proxy-Authorization, to `seen`. `to`: where it connects in any case."""

    def script(peer: Peer) -> None:
        request = peer.request()
        seen.extend([request.line, *filter(None, [request.headers.get("Proxy-Authorization")])])
        host, _, port = request.line.split()[1].rpartition(":")
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        relay(peer, *(to or (host.strip("[]"), int(port))))

    return script


def socks_proxy(
    seen: list[str], *, login: tuple[str, str] | None = None, reply: int = 0, to: tuple[str, int] | None = None
) -> Script:
    """A SOCKS5 proxy that adds what it is asked for to `seen`. `login`: the user and the password that it demands."""

    def script(peer: Peer) -> Any:
        version, count = peer.read(2)
        methods, wanted = peer.read(count), 2 if login else 0
        assert version == 5
        if wanted not in methods:
            peer.send(b"\x05\xff")
            return None
        peer.send(bytes([5, wanted]))
        if login:
            assert peer.read(1) == b"\x01"
            given = tuple(peer.read(peer.read(1)[0]).decode() for _ in range(2))
            peer.send(bytes([1, given != login]))
            if given != login:
                return None
        assert peer.read(3) == b"\x05\x01\x00"
        kind = peer.read(1)[0]
        if kind == 3:
            host = peer.read(peer.read(1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, peer.read(size))
        (port,) = struct.unpack(">H", peer.read(2))
        seen.append(f"{host}:{port}")
        # The address from which it connects, as a name: any kind is allowed.
        peer.send(bytes([5, reply, 0]) + (b"\x03\x05proxy\x00\x50" if not reply else b"\x01\0\0\0\0\0\0"))
        return None if reply else relay(peer, *(to or (host, port)))

    return script
