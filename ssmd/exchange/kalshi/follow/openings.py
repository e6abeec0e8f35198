"""The markets that are followed from their opening on, where those that are not open yet are not followed. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ssmd.exchange.kalshi.follow.found import Found

__all__ = ["OPENING_SECONDS", "Openings"]

OPENING_SECONDS = 30
"""How long before it opens a market is taken up."""


class Openings:
    def __init__(self) -> None:
        self._waiting: dict[str, tuple[tuple[int, ...], Found]] = {}
        self._times: list[tuple[float, str]] = []
        """A heap of the times at which they are taken up, Unix seconds."""

    def __contains__(self, ticker: str) -> bool:
        return ticker in self._waiting

    def wait(self, found: Found, numbers: tuple[int, ...]) -> None:
        """Let a market wait that these subscriptions follow. When it opens must be known."""
        self._waiting[found.ticker] = numbers, found
        heapq.heappush(self._times, (found.open_seconds - OPENING_SECONDS, found.ticker))

    def forget(self, ticker: str) -> None:
        self._waiting.pop(ticker, None)

    def due(self, now_ms: int) -> Iterator[tuple[tuple[int, ...], Found]]:
        """Yield, and forget, the markets that open soon, each with the subscriptions that follow it."""
        while self._times and self._times[0][0] <= now_ms / 1000:
            _, ticker = heapq.heappop(self._times)
            if waiting := self._waiting.pop(ticker, None):
                yield waiting
