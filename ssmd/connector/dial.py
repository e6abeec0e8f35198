"""Opening a socket to an exchange, through a proxy or directly, with TLS or without; every answer has a bound."""

from __future__ import annotations

import contextlib
import http
import socket
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import gevent
import websocket
from websocket import DEFAULT_SOCKET_OPTION

# websocket-client has no public names for these steps of its connect(): CONNECT to a proxy, and making the TLS context.
# setup.py names the versions that were tried.
from websocket._http import _ssl_socket, _tunnel

from ssmd.connector.proxy import SOCKS5, SOCKS5H, Proxy
from ssmd.connector.refusal import REDIRECTS
from ssmd.connector.socks import connect_through_socks5
from ssmd.connector.timed_socket import TimedSocket
from ssmd.connector.tls import TlsSocket
from ssmd.contracts.http import HttpAnswer

__all__ = ["RESPONSE_HEAD_BYTES", "BoundedHead", "open_socket"]

RESPONSE_HEAD_BYTES = 64 * 1024
"""The most that is read before the connection is upgraded, status line and error body included. No honest answer is
longer."""

HEAD_START_SECONDS = 0.25
"""How long an address is tried alone before the next one is tried beside it (RFC 8305, 5)."""


def open_socket(url: str, proxy: Proxy | None = None) -> Any:
    """Return a socket that is connected to the host of `url`, through `proxy` if there is one; with TLS for wss:// and
    https://, without it for ws:// and http://.

    This is what the library's connect() does, with three differences: the addresses are tried side by side, there are
    SOCKS proxies, and a proxy's answer is bounded: the library reads it byte by byte, and when it is endless it never
    waits, so that no deadline could interrupt it. Raises what the library raises.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname, parts.scheme in ("wss", "https")
    if host is None:
        raise ValueError("the URL has no host")
    port = parts.port or (443 if secure else 80)
    sock = _first_to_answer(_addresses(host, port)) if proxy is None else _connected_to(proxy)
    with contextlib.ExitStack() as unless_open:
        unless_open.callback(sock.close)
        if proxy is not None:
            _go_through(sock, proxy, host, port)
        sock = TimedSocket(sock)
        if secure:
            sock = TlsSocket(sock, _context(host), host)
        unless_open.pop_all()
    return sock


def _addresses(host: str, port: int) -> Sequence[Any]:
    return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, socket.SOL_TCP)


def _connected_to(proxy: Proxy) -> Any:
    try:
        return _first_to_answer(_addresses(proxy.host, proxy.port))
    except socket.gaierror as error:
        raise websocket.WebSocketProxyException(f"the proxy's host name cannot be resolved: {error}") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise websocket.WebSocketProxyException(f"the proxy cannot be reached: {reason}") from None


def _go_through(sock: Any, proxy: Proxy, host: str, port: int) -> None:
    """Let the proxy at the other end of `sock` connect to the host."""
    try:
        if proxy.scheme == SOCKS5H:
            connect_through_socks5(sock, host, port, proxy.user, proxy.password)
        elif proxy.scheme == SOCKS5:
            address = _addresses(host, port)[0][4][0]
            connect_through_socks5(sock, address, port, proxy.user, proxy.password)
        else:
            _connect_through_http(sock, f"[{host}]" if ":" in host else host, port, proxy)
    except (websocket.WebSocketException, ConnectionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise websocket.WebSocketProxyException(f"the proxy does not connect: {reason}") from None


def _connect_through_http(sock: Any, host: str, port: int, proxy: Proxy) -> None:
    head = BoundedHead(sock)
    try:
        _tunnel(head, host, port, (f"{proxy.user}:{proxy.password}", "") if proxy.user else None)
    except websocket.WebSocketException:
        refused = head.refused()
        if refused is None:
            raise
        if refused.status != http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            reason = f"it answered {refused.status}"
        elif proxy.user:
            reason = "it refused the user name and the password"
        else:
            reason = "it demands a user name and a password"
        raise websocket.WebSocketProxyException(reason) from None


def _first_to_answer(addresses: Sequence[Any]) -> Any:
    """Return a socket that is connected to one of the addresses, which are as getaddrinfo() returns them.

    The earlier ones have a head start. An address that does not answer, such as those of IPv6 where its route is
    broken, must not take the time of the others. When all have failed, raises the OSError of the one that failed first.
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
            if isinstance(attempt.value, socket.socket):  # It has connected too, at the same moment.
                attempt.value.close()
    raise failure or OSError("the host name has no address")


def _connected(address: Any) -> socket.socket | OSError:
    """Return a socket that is connected to the address or, as a value, the OSError: gevent prints what a greenlet
    raises.
    """
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
    """Return the library's TLS context, which verifies certificates.

    SSL_CERT_FILE, SSL_CERT_DIR or WEBSOCKET_CLIENT_CA_BUNDLE may name the authorities. The library makes a context only
    together with a socket, so it gets one that is not connected and has no other use.
    """
    with socket.socket() as spare, _ssl_socket(spare, {"do_handshake_on_connect": False}, host) as wrapped:
        context: ssl.SSLContext = wrapped.context
        return context


class BoundedHead:
    """A socket that refuses to read more than RESPONSE_HEAD_BYTES; the library uses it for the handshake."""

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

    def refused(self) -> HttpAnswer | None:
        """Return the answer if it is a refusal with a whole head, else None. The body may be cut off or endless."""
        head, whole, body = bytes(self._read).partition(b"\r\n\r\n")
        if not whole:
            return None
        status_line, *lines = head.decode("utf-8", "replace").split("\r\n")
        try:
            status = int(status_line.split(" ", 2)[1])
        except (IndexError, ValueError):
            return None
        if status in (http.HTTPStatus.SWITCHING_PROTOCOLS, *REDIRECTS):
            return None
        fields = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return HttpAnswer(status, headers, body, 0.0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
