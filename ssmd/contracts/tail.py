"""The contract of a tail: some of the messages that are received, for people who look at them live."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

__all__ = ["EVERYTHING", "Seen", "Tail", "Wish"]


class Wish(NamedTuple):
    """Which messages somebody wants to see; an empty text is any."""

    type: str = ""
    """The whole type."""
    market: str = ""
    """A part of the market's name."""


EVERYTHING = Wish()


class Seen(NamedTuple):
    """A message that was received."""

    ts_ns: int
    """Wall clock, ns since the epoch."""
    type: str
    market: str
    text: str
    """The message, or its beginning."""
    size: int
    """The bytes of the whole message."""


class Tail(Protocol):
    """Keeps a few of the messages that are received, as long as somebody wants to see some."""

    def want(self, wishes: Collection[Wish]) -> None:
        """Set what is wanted from now on; nothing when there is nothing in it. Messages kept for other wishes go."""

    def take(self, wish: Wish) -> Sequence[Seen]:
        """Return the messages that were kept for a wish since the last call, the oldest first, each a single time."""
