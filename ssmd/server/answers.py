"""Answers that are made once for all requests that have come by then."""

from __future__ import annotations

import time
from collections.abc import Callable

from flask import request

__all__ = ["LIVE", "MOST_TYPES", "REQUESTED", "STREAM", "Answers"]

LIVE = "/live"
"""The path of the live stream."""
STREAM = "ssmd.stream"
"""The key of the WSGI environment by which an app says that the connection goes on as a stream, and of which kind."""

MOST_TYPES = 5
"""How many answers are kept, one for each content type. A client may name any version of OpenMetrics, each a type of
its own."""

REQUESTED = "ssmd.requested"
"""The key of the WSGI environment for when the request had come, as time.monotonic()."""


class Answers:
    """Answers to /metrics, /status and /, each of which takes milliseconds to make."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[float, bytes]] = {}

    def text(self, content_type: str, make: Callable[[], bytes]) -> bytes:
        """Return the text of a type, made after the present request had come. No two answers share a type."""
        requested = request.environ.get(REQUESTED, time.monotonic())
        if content_type not in self._made or self._made[content_type][0] < requested:
            if len(self._made) >= MOST_TYPES:
                self._made.clear()
            self._made[content_type] = time.monotonic(), make()
        return self._made[content_type][1]
