"""Requests over HTTP, and what performs them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol
from urllib.parse import quote

from ssmd.errors import printable

__all__ = ["HttpAnswer", "HttpClient", "HttpRequest"]

LONGEST_URL = 2000
"""How many characters of a URL are shown."""


class HttpRequest(NamedTuple):
    """A request over HTTP, as a dialect makes it."""

    method: str
    url: str
    """May hold the value of a key, as may `headers` and `body`."""
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | None = None
    hidden: Collection[str] = ()
    """As in Opening."""
    signed: bool = False
    """Whether a key is used in it, so that a refusal may be about the key."""

    @property
    def shown_url(self) -> str:
        """The URL, as people may see it: without what is in `hidden`, also where it is percent-encoded."""
        return printable(self.url, LONGEST_URL, {*self.hidden, *(quote(text, safe="") for text in self.hidden)})


class HttpAnswer(NamedTuple):
    """The whole answer to a request."""

    status: int
    headers: Mapping[str, str]
    """By name, in lower case."""
    body: bytes
    """Decompressed."""
    seconds: float
    """From the beginning of the request to the end of the answer."""


class HttpClient(Protocol):
    """Performs requests, one at a time, over connections that stay open between them."""

    def request(self, request: HttpRequest, timeout_seconds: float, most_bytes: int) -> HttpAnswer:
        """Perform a request, and return its answer, whatever its status. Redirects are not followed.

        When the status is not 2xx, only the beginning of the body is returned. Raises ConnectError when no whole answer
        comes within the time, or when its body has more bytes, also when that shows only after it is decompressed. The
        error says what is wrong, and shows nothing of `request.hidden`. Raises ConfigError for a proxy of the
        environment that cannot be used.
        """

    def close(self) -> None:
        """Close the connections. Idempotent, may be called from another greenlet, whose request() then raises."""
