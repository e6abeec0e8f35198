"""One channel of a connection to Kalshi: its markets, and which of them are confirmed and heard from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssmd.exchange.kalshi.commands import markets_of

__all__ = ["ChannelOfConnection", "remove"]


class ChannelOfConnection:
    """One channel of a connection.

    Its sets of markets are dicts without values: a Python set may take four times their memory.
    """

    __slots__ = (
        "changed", "field", "markets", "name", "pending", "refused", "sid", "subscription", "unconfirmed", "unheard",
    )

    def __init__(self, name: str, subscription: int, section: Mapping[str, Any]) -> None:
        self.name = name
        self.subscription = subscription
        named = markets_of(section, name)
        self.field = named[0] if named else ""
        """The field of `msg` that names a message's market."""
        self.markets = named[1] if named else None
        """The markets that are asked for; None for all."""
        self.unconfirmed: dict[str, None] = dict.fromkeys(self.markets or ())
        self.changed: tuple[Sequence[str], Sequence[str]] = (), ()
        """The markets that the last answer has confirmed, and those that it does not confirm any more."""
        self.unheard: dict[str, None] = dict.fromkeys(self.markets or ())
        self.pending: set[int] = set()
        """The commands that Kalshi has not answered yet."""
        self.refused: dict[int, int] = {}
        """The commands that Kalshi has refused, each with the number of its markets."""
        self.sid: int | None = None
        """The number of its subscription; None before it is confirmed."""

    def confirm(self, markets: Sequence[str], listed: Sequence[str] | None) -> None:
        """Note that the command for these markets is confirmed. `listed`: all markets of the channel that the answer
        lists, None when it lists none. Names are compared as they are: Kalshi's are case-sensitive.
        """
        new = [market for market in markets if market in self.unconfirmed]
        gone: Sequence[str] = ()
        if listed is not None:
            names = dict.fromkeys(listed)
            new = [market for market in self.unconfirmed if market in names]
            gone = [market for market in self.markets or () if not (market in names or market in self.unconfirmed)]
        remove(self.unconfirmed, new)
        self.unconfirmed.update(dict.fromkeys(gone))
        self.changed = new, gone


def remove(those: dict[str, None], markets: Iterable[str]) -> None:
    """Remove markets from a dict that may not have them."""
    for market in markets:
        those.pop(market, None)
    if not those:
        those.clear()  # Without it, an empty dict keeps the memory of all that it held.
