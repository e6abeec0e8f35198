"""The addresses of NATS servers, as an environment's `transport.url` has them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Server", "servers_of"]

_PORT = 4222


class Server(NamedTuple):
    """One server of a cluster."""

    host: str
    port: int
    tls: bool
    """Whether the connection must be encrypted, whatever the server says."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'nats'}://{host}:{self.port}"


def servers_of(text: str) -> list[Server]:
    """Return the servers of a list with commas: `nats://a,tls://b:4333,c`. Raises ValueError with the fault as a
    phrase.
    """
    return [_server(part.strip()) for part in text.split(",")]


def _server(text: str) -> Server:
    try:
        url = urlsplit(text if "://" in text else f"nats://{text}")
        port = url.port or _PORT
    except ValueError:
        raise ValueError("has a server whose port or address cannot be read; write nats://host:4222") from None
    if url.scheme not in ("nats", "tls"):
        raise ValueError("has a server whose scheme is not `nats` or `tls`; write nats://host:4222 or tls://host:4222")
    if not url.hostname or url.path.strip("/") or url.query or url.fragment or url.username is not None:
        raise ValueError("has a server that is not just a host and a port; write nats://host:4222")
    return Server(url.hostname, port, url.scheme == "tls")
