"""The check of a WebSocket feed's endpoint."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["endpoint_fault"]

_SCHEMES = ("ws", "wss", "sim")
_AT_THE_BEGINNING = re.compile(r"\A\$\{prepared\.[^{}]*\}")
_PLACE = "must have a valid host, and a port from 1 to 65535 if any"


def endpoint_fault(endpoint: str) -> str | None:
    """Return what is wrong with a WebSocket feed's endpoint, None if nothing is.

    The text never shows the endpoint, since a query may hold a secret. A placeholder at its very beginning stands for a
    whole URL, which is not known yet. Placeholders in its host are faults; the others are for the dialect to check.
    """
    endpoint = _AT_THE_BEGINNING.sub("wss://host", endpoint)
    if not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        return "must be a URL in plain ASCII without spaces; percent-encode everything else"
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError:
        return _PLACE
    faults = {
        "must be the URL of a websocket: wss://host/path, ws://host/path, or sim://kalshi for the simulator": (
            url.scheme not in _SCHEMES or not url.hostname
        ),
        "must not hold a user name or a password; keys belong in the environment's `keys`": "@" in url.netloc,
        "must not have a placeholder in its host; it may have some in its path and its query": "$" in url.netloc,
        _PLACE: port == 0,
        "must not have a fragment (`#...`): a websocket's URL has none": "#" in endpoint,
    }
    return next((fault for fault, found in faults.items() if found), None)
