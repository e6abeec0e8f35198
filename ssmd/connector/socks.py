"""The client's side of SOCKS5 (RFC 1928), with a user name and a password if there are any (RFC 1929)."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import websocket

__all__ = ["connect_through_socks5"]

_VERSION, _CONNECT, _PASSWORD_VERSION = 5, 1, 1
_NO_LOGIN, _PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_BYTES = {_IPV4: 4, _IPV6: 16}

_REPLIES = {
    1: "it has failed",
    2: "its rules do not allow this connection",
    3: "the network is unreachable",
    4: "the host is unreachable, or its name cannot be resolved",
    5: "connection refused",
    6: "the time to live has expired",
    7: "it does not support CONNECT",
    8: "it does not support this kind of address",
}
"""The replies of RFC 1928, 6."""


def connect_through_socks5(sock: Any, host: str, port: int, user: str, password: str) -> None:
    """Let a proxy connect to `host`, a name or an address.

    `sock`: a socket that is connected to the proxy; afterwards it leads to the host. Every answer has a length that is
    known before it is read. Raises WebSocketProxyException and OSError.
    """
    _log_in(sock, user, password)
    sock.sendall(bytes([_VERSION, _CONNECT, 0]) + _address(host) + struct.pack(">H", port))
    version, reply, _, kind = _read(sock, 4)
    if version != _VERSION:
        raise _failed("it does not answer in SOCKS5")
    if reply:
        raise _failed(_REPLIES.get(reply, f"it replied {reply}"))
    size = _read(sock, 1)[0] if kind == _NAME else _ADDRESS_BYTES.get(kind)
    if size is None:
        raise _failed("it does not answer in SOCKS5")
    _read(sock, size + 2)  # The address and the port from which it connects.


def _log_in(sock: Any, user: str, password: str) -> None:
    if max(len(text.encode()) for text in (user, password)) > 255:
        raise _failed("a user name or a password has at most 255 bytes")
    methods = [_NO_LOGIN, _PASSWORD] if user else [_NO_LOGIN]
    sock.sendall(bytes([_VERSION, len(methods), *methods]))
    version, method = _read(sock, 2)
    if version != _VERSION:
        raise _failed("it does not answer in SOCKS5")
    if method not in methods:
        raise _failed("it accepts none of our ways to log in" if user else "it demands a user name and a password")
    if method == _PASSWORD:
        fields = [text.encode() for text in (user, password)]
        sock.sendall(bytes([_PASSWORD_VERSION]) + b"".join(bytes([len(field)]) + field for field in fields))
        if _read(sock, 2)[1]:
            raise _failed("it refused the user name and the password")


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("idna")
        return bytes([_NAME, len(name)]) + name
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed


def _read(sock: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise _failed("it hung up")
        data += part
    return data


def _failed(reason: str) -> websocket.WebSocketProxyException:
    return websocket.WebSocketProxyException(reason)
