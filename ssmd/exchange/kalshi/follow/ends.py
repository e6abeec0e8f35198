"""How long markets that are over are still followed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["DETERMINED_MS", "SETTLED_MS", "Ends"]

SETTLED_MS = 60_000
"""How long a market stays after it is settled: messages about its end may still come."""
DETERMINED_MS = 86_400_000
"""How long it stays after its result is determined. Settlement takes up to 12 hours, and then counts; until then the
result may be disputed or amended, and the market may open again."""


class Ends:
    """The markets that are not followed much longer. All times are Unix ms."""

    def __init__(self) -> None:
        # By the time that they stay: each market with its last time, in order. Settled markets come first.
        self._last: dict[int, dict[str, int]] = {SETTLED_MS: {}, DETERMINED_MS: {}}

    def ends(self, ticker: str, kept_ms: int, now_ms: int) -> None:
        """Follow a market only this much longer: SETTLED_MS or DETERMINED_MS."""
        self._last[kept_ms][ticker] = now_ms + kept_ms

    def stays(self, ticker: str) -> None:
        """Keep a market that was about to end."""
        for last in self._last.values():
            last.pop(ticker, None)

    def due(self, now_ms: int) -> Iterator[str]:
        """Yield, and forget, the markets whose time is over."""
        for last in self._last.values():
            while last and next(iter(last.values())) <= now_ms:
                ticker = next(iter(last))
                del last[ticker]
                yield ticker

    def earliest(self, count: int) -> Iterator[str]:
        """Yield, and forget, this many markets before their time is over, the oldest first."""
        for last in self._last.values():
            while last and count > 0:
                ticker = next(iter(last))
                del last[ticker]
                count -= 1
                yield ticker
