"""The way to an exchange's socket: through a proxy or not, with TLS or not, and nothing endless on the way."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import gevent
import websocket
from websocket._handshake import SUCCESS_STATUSES
from websocket._http import _get_addrinfo_list, _ssl_socket, _tunnel, proxy_info
from websocket._socket import DEFAULT_SOCKET_OPTION
from websocket._url import parse_url

from ssmd.connector.tls import TlsSocket
from ssmd.errors import ConnectError

__all__ = ["RESPONSE_HEAD_BYTES", "BoundedHead", "open_socket"]

RESPONSE_HEAD_BYTES = 64 * 1024
"""More than this before the connection is upgraded, status line and error body included, is an attack."""

HEAD_START_SECONDS = 0.25
"""How long an address is tried alone before the next is tried beside it (RFC 8305, 5)."""


def open_socket(url: str, *, direct: bool) -> Any:
    """A socket to the host of `url`, by TLS if that says wss, through the proxy of the environment unless `direct`.

    What the library's own connect() does, except that the host's addresses are tried side by side, and that a
    proxy's answer is bounded: an endless one is read byte by byte without ever waiting, and no deadline could
    interrupt that. Raises what the library raises.
    """
    host, port, _, secure = parse_url(url)
    proxy = proxy_info()
    if direct:
        proxy.no_proxy = ["*"]
    addresses, through_proxy, auth = _get_addrinfo_list(host, port, secure, proxy)
    try:
        sock = _first_to_answer(addresses)
    except OSError as error:
        if through_proxy:
            raise ConnectError(f"cannot connect to the proxy on the way to {host}: {error.strerror or error}") from None
        raise
    with contextlib.ExitStack() as unless_open:
        unless_open.callback(sock.close)
        if through_proxy:
            _tunnel(BoundedHead(sock), host, port, auth)
        if secure:
            sock = TlsSocket(sock, _context(host), host)
        unless_open.pop_all()
    return sock


def _first_to_answer(addresses: Sequence[Any]) -> Any:
    """A socket connected to one of the addresses, as getaddrinfo() gives them; the earlier ones have a head start.

    One that is dead, as those of IPv6 are where its way out is broken, must not take the time of the others.
    Raises the OSError of the first that has failed when all of them have.
    """
    failure: OSError | None = None
    attempts: list[gevent.Greenlet] = []
    untried = list(addresses)
    try:
        while untried or attempts:
            if untried:
                attempts.append(gevent.spawn(_connected, untried.pop(0)))
            for ended in gevent.wait(attempts, HEAD_START_SECONDS if untried else None, count=1):
                attempts.remove(ended)
                if not isinstance(ended.value, OSError):
                    return ended.value
                failure = failure or ended.value
    finally:
        gevent.killall(attempts)
        for attempt in attempts:
            if isinstance(attempt.value, socket.socket):  # It has answered too, at the same moment.
                attempt.value.close()
    raise failure or OSError("the host name has no address")


def _connected(address: Any) -> socket.socket | OSError:
    """A socket connected to the address, or why there is none: gevent prints what a greenlet raises."""
    family, kind, protocol, _, where = address
    with contextlib.ExitStack() as unless_open:
        try:
            sock = unless_open.enter_context(socket.socket(family, kind, protocol))
            for option in DEFAULT_SOCKET_OPTION:
                sock.setsockopt(*option)
            sock.connect(where)
        except OSError as error:
            return error
        unless_open.pop_all()
        return sock


def _context(host: str) -> ssl.SSLContext:
    """The library's: it verifies certificates, against the authorities that the environment names, if it does.

    It is made only together with a socket, so it gets one that is not connected and has no other use.
    """
    with socket.socket() as spare, _ssl_socket(spare, {"do_handshake_on_connect": False}, host) as wrapped:
        context: ssl.SSLContext = wrapped.context
        return context


class BoundedHead:
    """A socket that refuses to read more than so many bytes, lent to the library for the handshake."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._read = bytearray()

    def recv(self, bufsize: int) -> bytes:
        left = RESPONSE_HEAD_BYTES - len(self._read)
        if left <= 0:
            raise websocket.WebSocketException("the response to the handshake does not end")
        data: bytes = self._sock.recv(min(bufsize, left))
        self._read += data
        return data

    def refused(self) -> websocket.WebSocketBadStatusException | None:
        """The answer, when it is a refusal whose head is whole: a body may be cut off, endless or too long."""
        head, whole, body = bytes(self._read).partition(b"\r\n\r\n")
        if not whole:
            return None
        status_line, *lines = head.decode("utf-8", "replace").split("\r\n")
        try:
            status = int(status_line.split(" ", 2)[1])
        except (IndexError, ValueError):
            return None
        if status in SUCCESS_STATUSES:
            return None
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return websocket.WebSocketBadStatusException("refused", status, None, headers, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
