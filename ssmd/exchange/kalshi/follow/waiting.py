"""For how long followed markets have waited for their confirmation. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice

__all__ = ["Waiting"]


class Waiting:
    """Knows when the oldest unconfirmed market was asked for. Times are Unix milliseconds.

    `confirmed`: returns the confirmed markets of a subscription, by its number.
    """

    def __init__(self, confirmed: Callable[[int], Collection[str]]) -> None:
        self._confirmed = confirmed
        self._since: dict[int, dict[str, int]] = {}
        """By subscription, the markets that wait or have waited, each with the time of its begin(), in order."""

    def begin(self, number: int, markets: Sequence[str], now_ms: int) -> None:
        """Take markets that a subscription asks for from now on."""
        self._since.setdefault(number, {}).update(dict.fromkeys(markets, now_ms))

    def end(self, number: int, markets: Sequence[str]) -> None:
        """Take markets that it does not ask for any more."""
        since = self._since.get(number, {})
        for market in markets:
            since.pop(market, None)

    def oldest_ms(self) -> int | None:
        """Return when the oldest unconfirmed market was asked for; None when none waits."""
        oldest: list[int] = []
        for number, since in self._since.items():
            confirmed = self._confirmed(number)
            # Each market is removed once, so that a call seldom looks at many.
            while since and next(iter(since)) in confirmed:
                del since[next(iter(since))]
            oldest += islice(since.values(), 1)
        return min(oldest, default=None)
