"""Which series an event belongs to, and which markets wait until that is known. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.exchange.kalshi.follow.found import Found

__all__ = ["Events"]

_MOST = 200_000
"""The most events whose series are remembered, which takes 20 MB. One that is forgotten is asked about again."""


class Events:
    def __init__(self) -> None:
        self._series: dict[str, str] = {}
        self._waiting: dict[str, dict[str, Found]] = {}
        """By event, the markets that wait, by ticker."""

    def series_of(self, event: str) -> str:
        """Return the series of an event; empty when it is not known."""
        return self._series.get(event, "")

    def learn(self, event: str, series: str) -> Sequence[Found]:
        """Remember the series of an event; return the markets that have waited for it."""
        if not event or not series:
            return ()
        if len(self._series) >= _MOST and event not in self._series:
            del self._series[next(iter(self._series))]
        self._series[event] = series
        return list(self._waiting.pop(event, {}).values())

    def wait(self, found: Found) -> bool:
        """Let a market wait until the series of its event is known; return whether it is new among those that wait."""
        waiting = self._waiting.setdefault(found.event, {})
        is_new = found.ticker not in waiting
        waiting[found.ticker] = found
        return is_new

    def give_up(self, event: str) -> None:
        """Forget the markets that wait for an event."""
        self._waiting.pop(event, None)
