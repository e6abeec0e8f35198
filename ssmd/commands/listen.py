"""The value of --listen, which several commands take."""

from __future__ import annotations

from ssmd.errors import UsageError, printable

__all__ = ["parse_listen"]


def parse_listen(text: str) -> tuple[str, int]:
    """Return the host and the port of `host:port`, `:port` or `[ipv6]:port`. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise UsageError(f"--listen is {printable(text)!r}; it must be host:port, such as 127.0.0.1:8080")
    # As elsewhere, `:8080` means all interfaces: probes come from outside the pod.
    return host or "0.0.0.0", int(port)
