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
        self._event_of: dict[str, str] = {}
        """By market that waits, its event."""

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
        return self._end(event)

    def _end(self, event: str) -> Sequence[Found]:
        """Let no market wait for an event any longer; return those that did."""
        found = list(self._waiting.pop(event, {}).values())
        for each in found:
            self._event_of.pop(each.ticker, None)
        return found

    def wait(self, found: Found) -> bool:
        """Let a market wait until the series of its event is known; return whether it is new among those that wait."""
        waiting = self._waiting.setdefault(found.event, {})
        is_new = found.ticker not in waiting
        waiting[found.ticker] = found
        self._event_of[found.ticker] = found.event
        return is_new

    def forget(self, ticker: str) -> str:
        """Let a market wait no longer, because it has ended; return its event if no other waits for that, else empty
        text.
        """
        event = self._event_of.pop(ticker, "")
        waiting = self._waiting.get(event, {})
        waiting.pop(ticker, None)
        if waiting or not event:
            return ""
        del self._waiting[event]
        return event

    def give_up(self, event: str) -> None:
        """Forget the markets that wait for an event."""
        self._end(event)
