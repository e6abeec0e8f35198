"""Which proxy leads to an exchange, by curl's conventions (https://everything.curl.dev/usingcurl/proxies/env.html)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ssmd.errors import ConfigError

__all__ = ["SOCKS5", "SOCKS5H", "Proxy", "proxy_for"]

HTTP, SOCKS5, SOCKS5H = "http", "socks5", "socks5h"

_DEFAULT_PORT = 1080
"""The port of a proxy that names none, as in curl."""

_PLAIN = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_SECURE = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_VARIABLES = {"ws": _PLAIN, "http": _PLAIN, "wss": _SECURE, "https": _SECURE}
"""By the scheme of the exchange's URL; the first one that is set and not empty counts."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxy(NamedTuple):
    """A proxy. str() names it without its user and password."""

    scheme: str
    """http: CONNECT. socks5: SOCKS5, with the name of the exchange resolved here. socks5h: resolved by the proxy."""
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that the environment variables name for a URL, one of a scheme in _VARIABLES; None for a direct
    connection.

    Raises ConfigError for a proxy that cannot be used. The text never shows the variable's value, which may hold a
    password.
    """
    parts = urlsplit(url)
    name = next((name for name in _VARIABLES.get(parts.scheme, ()) if environ.get(name, "").strip()), None)
    if name is None or _is_excepted(parts.hostname or "", environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return None
    return _parsed(name, environ[name].strip())


def _parsed(name: str, value: str) -> Proxy:
    wrong = ConfigError(
        f"{name} does not name a proxy; write it as http://host:port, or as socks5:// or socks5h://, "
        "with user:password@ before the host if it demands them"
    )
    try:
        parts = urlsplit(value if "://" in value else f"{HTTP}://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if not host or port == 0 or not host.isprintable() or " " in host:
        raise wrong
    if parts.scheme not in (HTTP, SOCKS5, SOCKS5H):
        raise ConfigError(
            f"{name} names a proxy of a kind that ssmd cannot use: {parts.scheme}://; those that it can use are "
            "http://, socks5:// and socks5h://"
        )
    return Proxy(
        parts.scheme, host, port or _DEFAULT_PORT, unquote(parts.username or ""), unquote(parts.password or "")
    )


def _is_excepted(host: str, no_proxy: str) -> bool:
    """Return whether NO_PROXY lists the host: its name, a domain that it is in, its address, or its network."""
    host = host.lower().rstrip(".")
    address = _address(host)
    for entry in no_proxy.replace(",", " ").lower().split():
        if entry == "*":
            return True
        if address is not None:
            if _has(entry.strip("[]"), address):
                return True
        elif host == (domain := entry.strip(".")) or host.endswith(f".{domain}"):
            return True
    return False


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _has(network: str, address: _Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
