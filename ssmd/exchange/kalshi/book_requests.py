"""The requests for order books on a connection to Kalshi that may still be answered. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from ssmd.exchange.kalshi.command import CommandIds

__all__ = ["BookRequests", "Request"]


class Request(NamedTuple):
    """One `get_snapshot`."""

    id: int
    markets: Sequence[str]
    tries: int
    """How often these markets were asked for before."""


class BookRequests:
    """Remembers each request for some time. All times are in ms, of a clock that never goes back."""

    def __init__(self, ids: CommandIds) -> None:
        self._ids = ids
        self._first_valid_id = ids.next
        """Requests before this one were made before the last gap."""
        self._sent: deque[tuple[int, Request]] = deque()
        """The requests that may still be refused, each with its time."""

    def lost(self) -> None:
        """Record a gap: answers to earlier requests do not count."""
        self._first_valid_id = self._ids.next

    def is_valid(self, request_id: int) -> bool:
        """Return whether a request was made after the last gap."""
        return request_id >= self._first_valid_id

    def make(self, markets: Sequence[str], tries: int, passed_ms: int) -> Request:
        request = Request(self._ids.take(), markets, tries)
        self._sent.append((passed_ms, request))
        return request

    def forget(self, until_ms: int) -> None:
        """Forget the requests that were made up to this time."""
        while self._sent and self._sent[0][0] <= until_ms:
            self._sent.popleft()

    def find(self, request_id: int) -> Request | None:
        return next((request for _, request in self._sent if request.id == request_id), None)
