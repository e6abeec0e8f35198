"""The parameter `follow` of a subscription: which markets are found, and added to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmd.exchange.kalshi.section import FOLLOW, sections_of

__all__ = ["ALL", "COMBOS", "DEFAULT_STATUS", "STATUSES", "WILDCARD", "Follow", "follows_of", "read_follow"]

ALL = "all"
"""The value of `follow` for all markets."""

WILDCARD = "*"
"""Stands for any text in a pattern."""

COMBOS = "KXMVE"
"""How the tickers of combinations of other markets begin. Kalshi makes them by the thousand, and announces them on a
channel of their own (https://docs.kalshi.com/websockets/multivariate-market-lifecycle), so they are followed only where
a name or a pattern begins with it."""

STATUSES: Mapping[str, str] = {
    "unopened": "it opens later",
    "open": "it trades",
    "paused": "trading is interrupted",
    "closed": "it has closed and is not settled",
}
"""The states in which a market may be taken up, by Kalshi's names for its filter, each with what it means."""

DEFAULT_STATUS = ("unopened", "open", "paused")

_SHOWN = 10
"""How many names are shown."""


@dataclass(frozen=True)
class Follow:
    """Which markets one subscription follows: those that any of the names or patterns matches."""

    series: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    tickers: tuple[str, ...] = ()
    """Tickers and patterns, in which WILDCARD stands for any text."""
    status: frozenset[str] = frozenset(DEFAULT_STATUS)
    """In which states a market is taken up. It then stays until it is settled."""

    @property
    def is_all(self) -> bool:
        """Whether all markets are followed, apart from combos."""
        return not (self.series or self.events or self.tickers)

    @property
    def wants_combos(self) -> bool:
        return any(name.startswith(COMBOS) for name in (*self.series, *self.events, *self.tickers))

    @property
    def patterns(self) -> list[str]:
        """Those of `tickers` that have a wildcard: the markets that they match can be found only among all markets."""
        return [ticker for ticker in self.tickers if WILDCARD in ticker]

    def __str__(self) -> str:
        """Return it for people: `the series KXBTC and KXETH: markets that are unopened or open`."""
        states = _joined([status for status in STATUSES if status in self.status], "or")
        names = [
            f"{what} {_joined(found)}"
            for what, found in (
                ("the series", sorted(self.series)),
                ("the events", sorted(self.events)),
                ("the tickers", list(self.tickers)),
            )
            if found
        ]
        return f"{_joined(names) or 'all markets, without combos'}: markets that are {states}"


def follows_of(subscribe: Any) -> dict[int, Follow]:
    """Return what each subscription of a valid `subscribe` section follows, by its place in the list, from 1."""
    sections = enumerate(sections_of(subscribe), 1)
    return {number: read_follow(section[FOLLOW]) for number, section in sections if FOLLOW in section}


def _joined(words: Sequence[str], conjunction: str = "and") -> str:
    """Return words as people list them, the first _SHOWN of them."""
    if len(words) > _SHOWN:
        words = [*words[:_SHOWN], f"{len(words) - _SHOWN:,} more"]
    return ", ".join(words[:-1]) + f" {conjunction} " * (len(words) > 1) + "".join(words[-1:])


def read_follow(value: Any) -> Follow:
    """Return the meaning of a valid `follow`."""
    if value == ALL:
        return Follow()
    return Follow(
        series=frozenset(value.get("series", ())),
        events=frozenset(value.get("events", ())),
        tickers=tuple(dict.fromkeys(value.get("tickers", ()))),
        status=frozenset(value.get("status", DEFAULT_STATUS)),
    )
