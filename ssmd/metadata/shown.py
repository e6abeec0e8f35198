"""What people may see of an endpoint."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["FILLED_IN", "shown_endpoint", "shown_path"]

FILLED_IN = "..."
"""Stands for a part into which a value is put."""


def shown_endpoint(endpoint: str) -> str:
    """Return an endpoint without its user, its query and the parts in `${...}`, into which keys are put."""
    url = urlsplit(endpoint)
    scheme = f"{url.scheme}://" if url.netloc else ""
    return scheme + _shown(url.netloc.rpartition("@")[2]) + shown_path(url.path)


def shown_path(path: str) -> str:
    """Return the path of an endpoint without the parts in `${...}`."""
    return "/".join(map(_shown, path.split("/")))


def _shown(part: str) -> str:
    return FILLED_IN if "${" in part else part
