"""The value of --listen, which several commands take, and of --page or SSMD_PAGE, whose default depends on it."""

from __future__ import annotations

from collections.abc import Mapping

from ssmd.errors import UsageError, visible
from ssmd.server.levels import FULL, LEVELS, STATUS
from ssmd.server.local import is_loopback

__all__ = ["parse_listen", "parse_page"]

_PAGE_VARIABLE = "SSMD_PAGE"


def parse_listen(text: str) -> tuple[str, int]:
    """Return the host and the port of `host:port`, `:port` or `[ipv6]:port`. Raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise UsageError(f"--listen is '{visible(text)}'; it must be host:port, such as 127.0.0.1:8080")
    # As elsewhere, `:8080` means all interfaces: probes come from outside the pod.
    return host or "0.0.0.0", int(port)


def parse_page(text: str | None, environ: Mapping[str, str], host: str) -> str:
    """Return how much /status shows: the value of --page, `text`, or without it SSMD_PAGE; when that is not set either,
    it depends on the host of --listen. Raises UsageError.
    """
    name = "--page"
    if text is None:
        name, text = _PAGE_VARIABLE, environ.get(_PAGE_VARIABLE) or (FULL if is_loopback(host) else STATUS)
    if text not in LEVELS:
        raise UsageError(f"{name} is '{visible(text)}'; it may be {', '.join(LEVELS)}")
    return text
