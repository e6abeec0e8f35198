"""Which lists of markets are asked for, and when. Pure.

A whole listing has all markets that may be followed. What is created meanwhile is not on its pages, because they run
from the newest to the oldest. So the markets that were created since its beginning are listed after it, again and again
until there is none that is not known. After that they are listed now and then, in case a message is lost, and the
whole listing is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssmd.exchange.kalshi.follow.pages import Pages, Query
from ssmd.exchange.kalshi.follow.section import Follow

__all__ = ["NEWS_MS", "OVERLAP_SECONDS", "WHOLE_MS", "Plan", "queries"]

WHOLE_MS = 600_000
"""The time from the end of a whole listing to the next one. It finds what was missed in every other way, and what has
ended without a message. A further tenth of it at most spreads the listings of many collectors."""
NEWS_MS = 20_000
"""The time between two lists of new markets. Markets are announced some time before they open, a minute or more; where
the message is lost, the list still has them in time."""
OVERLAP_SECONDS = 120
"""How far a list of new markets reaches back before the list before it began, because a new market may be listed late.
It is more than the clock of this host may be wrong, since Kalshi refuses a signature of another minute."""
_MOST_REPEATS = 5
"""The most lists of new markets that follow a whole listing: a busy exchange may always have new ones."""
_NAMES_PER_REQUEST = 50
_ORDER = ("open", "unopened", "paused", "closed")
"""The states in the order in which they are listed: what trades now is missed from the start on."""


def queries(follows: Sequence[Follow]) -> Iterator[Query]:
    """Yield the lists that together have all markets that may be followed."""
    needed = set().union(*map(_states, follows))
    states = [state for state in _ORDER if state in needed]
    has_all = any(follow.is_all or follow.patterns for follow in follows)
    if has_all:
        for choice in _choices(follows):
            yield from (Query({"status": state, "mve_filter": choice}) for state in states)
    for series in sorted(set().union(*(follow.series for follow in follows))):
        yield from (Query({"status": state, "series_ticker": series}, series) for state in states)
    if has_all:
        return
    for event in sorted(set().union(*(follow.events for follow in follows))):
        yield Query({"event_ticker": event})
    tickers = list(dict.fromkeys(ticker for follow in follows for ticker in follow.tickers))
    for first in range(0, len(tickers), _NAMES_PER_REQUEST):
        yield Query({"tickers": ",".join(tickers[first : first + _NAMES_PER_REQUEST])})


def _states(follow: Follow) -> set[str]:
    """Return the states of the markets to list: a market that is collected from its opening on is known before."""
    return {*follow.status, *(("unopened",) if "open" in follow.status else ())}


def _choices(follows: Sequence[Follow]) -> list[str]:
    """Return which values of `mve_filter` are needed."""
    return ["exclude", "only"] if any(follow.wants_combos for follow in follows) else ["exclude"]


class Plan:
    """All times are in ms of a clock that never goes back, unless they are called `now`."""

    def __init__(self, follows: Sequence[Follow]) -> None:
        self._follows = follows
        self.pages = Pages(())
        """The pages that are being asked for."""
        self.is_whole = False
        """Whether they are of the whole listing, without the lists of new markets that belong to it."""
        self._ends_whole = False
        """Whether the lists of new markets belong to a whole listing."""
        self._repeats = 0
        self._whole_ms = self._news_ms = 0
        """When the next one is due."""
        self._since_seconds = 0
        """When the last list began, Unix seconds."""

    def next_pages(self, passed_ms: int, now_ms: int) -> bool:
        """Begin what is due; return whether that is a new whole listing."""
        if not self.pages.are_over:
            return False
        if passed_ms >= self._whole_ms:
            self.is_whole = self._ends_whole = True
            self._repeats = 0
            self.pages = Pages(queries(self._follows))
        elif passed_ms >= self._news_ms:
            self.is_whole = False
            since = self._since_seconds - OVERLAP_SECONDS
            choices = _choices(self._follows)
            self.pages = Pages(Query({"min_created_ts": since, "mve_filter": choice}) for choice in choices)
        else:
            return False
        self._since_seconds = now_ms // 1000
        return self.is_whole

    def ended(self, has_news: bool, passed_ms: int, now_ms: int) -> bool:
        """Record that all pages have come, and whether they had markets that were not known. Returns whether a whole
        listing is complete with them.
        """
        if self.is_whole:
            self._whole_ms, self._news_ms = passed_ms + WHOLE_MS, passed_ms
            return False
        if self._ends_whole and has_news and self._repeats < _MOST_REPEATS:
            self._repeats += 1
            self._news_ms = passed_ms
            return False
        is_complete, self._ends_whole = self._ends_whole, False
        self._news_ms = passed_ms + NEWS_MS
        if is_complete:
            # The millisecond at which a listing ends is as good as random, so two collectors rarely begin together.
            self._whole_ms = passed_ms + WHOLE_MS + now_ms % 1000 * (WHOLE_MS // 10_000)
        return is_complete
