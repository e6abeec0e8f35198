"""What the ledger says of the markets that are followed: which these are, and when they open and close. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ssmd.contracts.events import Times

__all__ = ["FollowNews", "News", "times_of"]


class FollowNews(NamedTuple):
    """Markets that are followed from now on, or whose times have changed."""

    numbers: tuple[int, ...]
    """The subscriptions that follow them."""
    markets: dict[str, Times]


class News:
    """Gathers what has changed since the last take()."""

    def __init__(self) -> None:
        self._followed: dict[tuple[int, ...], dict[str, Times]] = {}
        self._gone: dict[str, None] = {}

    def followed(self, ticker: str, numbers: tuple[int, ...], times: Times) -> None:
        """Note that a market is followed, or has other times."""
        for others in self._followed.values():
            others.pop(ticker, None)
        self._followed.setdefault(numbers, {})[ticker] = times

    def gone(self, ticker: str) -> None:
        """Note that a market is not followed any more."""
        self._gone[ticker] = None
        for others in self._followed.values():
            others.pop(ticker, None)

    def take(self) -> tuple[Sequence[str], Iterable[FollowNews]]:
        """Return the markets that are not followed any more, which the ledger has first, and those that are."""
        followed, gone = self._followed, list(self._gone)
        self._followed, self._gone = {}, {}
        return gone, [FollowNews(numbers, markets) for numbers, markets in followed.items() if markets]


def times_of(open_seconds: float, close_seconds: float, known: Times = (None, None)) -> Times:
    """Return when a market opens and closes; 0 stands for a time that is not given, and then `known` has it."""
    return int(open_seconds) or known[0], int(close_seconds) or known[1]
