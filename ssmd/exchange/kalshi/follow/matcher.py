"""Which markets a subscription follows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from ssmd.exchange.kalshi.follow.section import COMBOS, WILDCARD, Follow

__all__ = ["Matcher"]


class Matcher:
    """Decides by a market's names.

    A ticker does not show the series of its market, so the answer may be that the series is needed.
    """

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._named = frozenset(ticker for ticker in follow.tickers if WILDCARD not in ticker)
        self._beginnings = tuple(follow.series | follow.events)
        self._fits = _compiled(follow.patterns)
        self._fits_combo = _compiled(pattern for pattern in follow.patterns if pattern.startswith(COMBOS))

    def follows(self, ticker: str, event: str = "", series: str = "") -> bool | None:
        """Return whether a market is followed; None when that depends on its event or its series, which is not known.

        `event` and `series` are empty when they are not known.
        """
        follow = self._follow
        is_combo = ticker.startswith(COMBOS)
        if follow.is_all:
            return not is_combo
        if ticker in self._named or event in follow.events or series in follow.series:
            return True
        fits = self._fits_combo if is_combo else self._fits
        if fits is not None and fits.match(ticker):
            return True
        is_undecided = (follow.series and not series) or (follow.events and not event)
        return None if is_undecided else False

    def looks_followed(self, name: str) -> bool:
        """Return whether an event or a market is probably one of the followed series: the names of most begin so."""
        return name.startswith(self._beginnings)


def _compiled(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Return one expression for all patterns; None when there are none."""
    texts = [translate(pattern) for pattern in patterns]
    return re.compile("|".join(texts)) if texts else None
