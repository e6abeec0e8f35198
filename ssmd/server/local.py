"""Which addresses and names mean this host alone. Pure."""

from __future__ import annotations

import ipaddress

__all__ = ["is_loopback", "names_this_host"]


def is_loopback(host: str) -> bool:
    """Return whether only this host can reach an address; a name other than localhost may be any address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_this_host(host: str) -> bool:
    """Return whether the Host field of a request means this host; it may be empty, as from a client without one.

    A browser sends the name under which it found the server. Somebody else's name may lead to this host too, and then
    the page of that name could read what is meant for this host alone (DNS rebinding).
    """
    name = host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]
    return not host or is_loopback(name.removeprefix("[").removesuffix("]"))
