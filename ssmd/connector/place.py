"""Where a connection goes: what people may see of it, and which addresses are not connected to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ssmd.connector.endpoint import endpoint_fault
from ssmd.connector.proxy import Proxy
from ssmd.errors import printable
from ssmd.metadata.shown import FILLED_IN, shown_path

__all__ = ["ASKING", "CONNECTING", "PREPARING", "Place", "address_fault", "headers_fault", "shown_host"]

CONNECTING, PREPARING, ASKING = "cannot connect to", "cannot prepare the connection:", "no usable answer from"
"""How the text of an error begins: about the exchange's WebSocket, the request before it, and any other request."""


class Place(NamedTuple):
    """Where a connection goes, as the log and errors show it."""

    host: str
    """A URL without a query, a user, or a part that was filled in."""
    proxy: Proxy | None = None
    purpose: str = CONNECTING
    """CONNECTING, PREPARING or ASKING."""

    def __str__(self) -> str:
        return self.host if self.proxy is None else f"{self.host} through the proxy {self.proxy}"

    def failed(self, reason: str) -> str:
        """Return the text of an error."""
        return f"{self.purpose} {self}: {reason}"

    def has(self, done: str) -> str:
        """Return the text of an error that says what the server has done, such as `refused the keys`."""
        return f"{PREPARING} {self} {done}" if self.purpose == PREPARING else f"{self} {done}"


def shown_host(url: str, template: str = "", hidden: Iterable[str] = ()) -> str:
    """Return scheme and host of a URL, as people may see them.

    `template`: the URL before its placeholders were filled in; its path is shown too. `hidden`: values of keys.
    """
    parts, before = urlsplit(url), urlsplit(template)
    host = parts.netloc.rpartition("@")[2]
    name = host.lower()
    if "${key." in before.netloc or printable(name, len(name) + 1, [secret.lower() for secret in hidden]) != name:
        host = FILLED_IN
    return f"{parts.scheme}://{host}{shown_path(before.path)}"


def address_fault(url: str, allowed: Sequence[str], hidden: Iterable[str] = ()) -> str | None:
    """Return why a URL with its values filled in is not connected to, None if it may be.

    A part of it may come from an answer over HTTP, which is not trusted. `allowed`: the schemes, the best one first.
    """
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in allowed:
        begins = f", not with {printable(scheme, 20, hidden)}://" if found else ""
        return f"its address must begin with {allowed[0]}://{begins}"
    # All other rules of an endpoint hold for any URL.
    fault = endpoint_fault(f"wss://{rest}")
    return None if fault is None else f"its address {fault}"


def headers_fault(headers: Mapping[str, str]) -> str | None:
    """Return why headers with their values filled in are not sent, None if they may be. The text shows no value."""
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            return f"its header {name} has a character that no header may have"
    return None
