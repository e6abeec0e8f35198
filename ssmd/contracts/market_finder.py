"""The contract of an Inspector that also finds the markets of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

__all__ = ["MarketFinder", "Markets"]


class Markets:
    """The markets of the messages that were inspected last. `of` gets these messages once more and returns the market
    of each; empty where there is none. It never raises.
    """

    def __init__(self, of: Callable[[Sequence[bytes]], Sequence[str]]) -> None:
        self.of = of
        self.wanted = True
        """Whether `of` is going to be called for the next messages that are inspected; set it before."""


@runtime_checkable
class MarketFinder(Protocol):
    """An Inspector that can find the markets of messages while it looks at them, so that they are decoded once."""

    def with_markets(self) -> Markets | None:
        """Find the markets too, from now on; call it before the first inspect(). None when it is not known where
        messages have their market.
        """
