"""Which events and markets are still to be asked about, one request each. Pure."""

from __future__ import annotations

__all__ = ["EVENT", "FIRST_MS", "MARKET", "MOST_TRIES", "Questions"]

EVENT, MARKET = "/events/", "/markets/"
"""What may be asked about, as the beginning of the path of the request."""

FIRST_MS = 250
"""How long a question waits: the series of a new event comes in a message, at about the same time as its markets, and
then need not be asked for."""
MOST_TRIES = 8
"""How often a question is asked whose answer is 404, as that about a new market or event may be for some time
(https://docs.kalshi.com/getting_started/market_lifecycle). The pauses double from 1 s, so together they are two
minutes. After that, the next whole listing has it."""


class Questions:
    """All times are in ms, of a clock that never goes back."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, str], tuple[int, int]] = {}
        """By what is asked about: when it is due, and how often it was asked."""
        self._urgent: dict[tuple[str, str], None] = {}
        """Those that come before the others."""

    def ask(self, kind: str, name: str, passed_ms: int, *, is_urgent: bool) -> None:
        self._due.setdefault((kind, name), (passed_ms + FIRST_MS, 0))
        if is_urgent:
            self._urgent[kind, name] = None

    def next(self, passed_ms: int, *, only_events: bool = False) -> tuple[str, str] | None:
        """Return what to ask about now: its kind and its name."""
        in_order = (question for group in (self._urgent, self._due) for question in group)
        kinds = (EVENT,) if only_events else (EVENT, MARKET)
        due = (question for question in in_order if self._due[question][0] <= passed_ms and question[0] in kinds)
        return next(due, None)

    def done(self, kind: str, name: str) -> None:
        self._due.pop((kind, name), None)
        self._urgent.pop((kind, name), None)

    def unknown(self, kind: str, name: str, passed_ms: int) -> bool:
        """Record that the exchange does not know it yet; return whether it is asked again."""
        _, tries = self._due.get((kind, name), (0, MOST_TRIES))
        is_urgent = (kind, name) in self._urgent
        self.done(kind, name)
        if tries + 1 >= MOST_TRIES:
            return False
        self.ask(kind, name, passed_ms, is_urgent=is_urgent)
        self._due[kind, name] = passed_ms + 1000 * 2**tries, tries + 1
        return True
