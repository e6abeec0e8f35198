"""Where Kalshi's REST interface is, and the signed requests to it. Pure.

Sources: https://docs.kalshi.com/getting_started/api_environments, https://docs.kalshi.com/getting_started/api_keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit

from ssmd.contracts.http import HttpRequest

__all__ = ["REST_PATH", "Requests", "Sign", "rest_endpoint_of"]

REST_PATH = "/trade-api/v2"

_HOSTS = {
    "external-api-ws.kalshi.com": "external-api.kalshi.com",
    "api.elections.kalshi.com": "api.elections.kalshi.com",
    "external-api-ws.demo.kalshi.co": "external-api.demo.kalshi.co",
    "demo-api.kalshi.co": "demo-api.kalshi.co",
}
"""By the host of the WebSocket API, that of the REST interface."""


def rest_endpoint_of(endpoint: str) -> str:
    """Return the URL below which the REST interface is that belongs to an endpoint; empty when it is not known.

    A simulator on this host serves both on one port.
    """
    try:
        url = urlsplit(endpoint)
        host = url.hostname or ""
    except ValueError:
        return ""
    if host in _HOSTS and url.scheme == "wss":
        return f"https://{_HOSTS[host]}{REST_PATH}"
    if url.scheme in ("ws", "wss") and _is_local(host):
        place = url.netloc.rpartition("@")[2]
        return f"{'https' if url.scheme == 'wss' else 'http'}://{place}{REST_PATH}"
    return ""


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Sign = Callable[[str, str, int], Mapping[str, str]]
"""Returns the headers that sign a request, given its method, its path, and the time (Unix ms)."""


class Requests:
    """Makes the requests of one connection, to what is below `endpoint`."""

    def __init__(self, endpoint: str, sign: Sign) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._path = urlsplit(self._endpoint).path
        self._sign = sign

    def get(self, place: str, parameters: Mapping[str, str | int], now_ms: int) -> HttpRequest:
        """Return a request for what is at a place below the endpoint, such as `/markets`."""
        # The query is not signed.
        headers = self._sign("GET", self._path + place, now_ms)
        query = f"?{urlencode(parameters)}" if parameters else ""
        hidden = list(headers.values())
        return HttpRequest("GET", f"{self._endpoint}{place}{query}", headers, hidden=hidden, signed=bool(headers))
