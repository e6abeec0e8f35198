"""The contract of an Inspector that also finds the markets of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

__all__ = ["MarketFinder"]


@runtime_checkable
class MarketFinder(Protocol):
    """An Inspector that can find the markets of messages while it looks at them, so that they are decoded once."""

    def with_markets(self) -> Callable[[Sequence[bytes]], Sequence[str]] | None:
        """Find the markets too, from now on; call it before the first inspect().

        What is returned gives the market of each message of the newest inspect(), which it gets once more; empty where
        there is none. It never raises. None when it is not known where messages have their market.
        """
