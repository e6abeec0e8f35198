"""The markets of a channel that change while it is open: what is wanted, what is asked for, what is confirmed. Pure.

What is wanted changes at once. What Kalshi has been asked for follows, with one command for a market at a time: a
market that has a command without an answer is in no other command.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ssmd.exchange.kalshi.room import Room
from ssmd.exchange.kalshi.section import TICKERS_PER_COMMAND

__all__ = ["PORTIONS", "ChangingMarkets", "Portion", "remove"]

PORTIONS = (TICKERS_PER_COMMAND, TICKERS_PER_COMMAND, 10, 1)
"""How many markets one command names, when they were never asked for, when they are asked for again, and when a command
for them was refused once and twice: Kalshi may refuse a whole command because of one market."""
_ASKED_BEFORE = 1
_ALONE = len(PORTIONS) - 1


class Portion(NamedTuple):
    """The markets of one command, all of which were tried equally often."""

    markets: Sequence[str]
    tries: int
    """The index in PORTIONS."""


class ChangingMarkets:
    """The markets of one channel.

    The sets of markets are dicts without values: a Python set may take four times their memory.
    """

    __slots__ = (
        "aside", "doubtful", "is_given_up", "is_open", "leaving", "removing", "retracted", "room", "to_add",
        "to_remove", "unconfirmed",
    )

    def __init__(self, markets: Iterable[str]) -> None:
        self.unconfirmed: dict[str, None] = dict.fromkeys(markets)
        """The markets that are wanted, and that the exchange has not confirmed."""
        self.to_add: dict[str, int] = {}
        """Those of them that no command waits for, in order, each with how often it was tried."""
        self.to_remove: dict[str, int] = {}
        """The confirmed markets that are not wanted any more, and for which no command waits."""
        self.leaving: dict[str, None] = {}
        """The markets that are not wanted any more, although a command that adds them has no answer yet."""
        self.removing: dict[str, None] = {}
        """The markets that are in a command without an answer which removes them; some may be wanted again."""
        self.aside: dict[str, None] = {}
        """The unconfirmed markets that the exchange has refused; they are asked for now and then."""
        self.doubtful: dict[str, None] = {}
        """The markets of which it is not known whether they are subscribed to: the last command had no answer."""
        self.retracted: list[str] = []
        """The markets that were asked for and never confirmed, and are not wanted any more."""
        self.room = Room(TICKERS_PER_COMMAND)
        self.is_open = False
        """Whether there is a subscription to change."""
        self.is_given_up = False
        """Whether the exchange does not take changes of this channel."""

    # What is wanted.

    def want(self, markets: Iterable[str]) -> None:
        """Take markets that are wanted from now on, and were not before."""
        for market in markets:
            if self.to_remove.pop(market, None) is not None and market not in self.doubtful:
                continue
            self.unconfirmed[market] = None
            if market in self.leaving:
                del self.leaving[market]
            elif market not in self.removing:
                self.to_add[market] = 0

    def drop(self, markets: Iterable[str]) -> None:
        """Take markets that are not wanted any more."""
        for market in markets:
            if market not in self.unconfirmed:
                self.to_remove[market] = 0
                continue
            del self.unconfirmed[market]
            if market in self.to_add or market in self.aside:
                was_asked = self.to_add.pop(market, _ASKED_BEFORE)
                self.aside.pop(market, None)
                if was_asked or market in self.doubtful:
                    self._retract(market)
            elif market not in self.removing:
                self.leaving[market] = None

    # What is asked for.

    @property
    def over_limit(self) -> int:
        """How many markets are left out because of a limit of the exchange."""
        return len(self.to_add) if self.room.is_full else 0

    @property
    def can_change(self) -> bool:
        """Whether there is something to ask for now."""
        if self.is_given_up:
            return False
        return bool((self.to_remove and self.is_open) or (self.to_add and not self.room.is_full))

    def take_removals(self) -> Portion:
        """Return the markets of the next command that removes some; empty for none."""
        portion = self._take(self.to_remove, TICKERS_PER_COMMAND)
        self.removing.update(dict.fromkeys(portion.markets))
        return portion

    def take_additions(self) -> Portion:
        """Return the markets of the next command that adds some; empty for none."""
        return self._take(self.to_add, self.room.portion)

    def _take(self, waiting: dict[str, int], most: int) -> Portion:
        markets: list[str] = []
        tries = next(iter(waiting.values()), 0)
        for market, times in waiting.items():
            if times != tries or len(markets) >= min(most, PORTIONS[tries]):
                break
            markets.append(market)
        for market in markets:
            del waiting[market]
        return Portion(markets, tries)

    def ask_aside(self) -> None:
        """Ask again for the markets that were refused, each alone."""
        self.to_add.update(dict.fromkeys(self.aside, _ALONE))
        self.aside.clear()

    # What is answered.

    def added(self, markets: Iterable[str], listed: Iterable[str] | None) -> Sequence[str]:
        """Record that a command that adds these markets is confirmed; return the markets that are confirmed now.

        `listed`: as for confirm().
        """
        new = []
        names = None if listed is None else set(listed)
        for market in markets:
            is_confirmed = names is None or market in names
            if market in self.leaving:
                del self.leaving[market]
                if is_confirmed:
                    self.to_remove[market] = 0
            elif market in self.unconfirmed and market not in self.removing:
                self.to_add.pop(market, None)
                if is_confirmed:
                    self.aside.pop(market, None)
                    new.append(market)
                else:
                    self.set_aside([market])
        remove(self.unconfirmed, new)
        remove(self.doubtful, new)
        return new

    def removed(self, markets: Iterable[str]) -> None:
        """Record that a command that removes these markets is confirmed."""
        for market in markets:
            self.removing.pop(market, None)
            self.doubtful.pop(market, None)
            if market in self.unconfirmed:
                self.to_add[market] = 0

    def not_added(self, portion: Portion, wrong: Collection[str] = ()) -> None:
        """Record that a command that adds these markets was not carried out; they are added later, with `tries`.

        `wrong`: those that are set aside.
        """
        for market in portion.markets:
            if market in self.leaving:
                del self.leaving[market]
                self._retract(market)
            elif market in wrong:
                self.set_aside([market])
            elif market in self.unconfirmed:
                self.to_add[market] = max(_ASKED_BEFORE, portion.tries)

    def not_removed(self, portion: Portion) -> Sequence[str]:
        """Record that a command that removes these markets was not carried out; return those that are wanted again, and
        confirmed. A doubtful one is asked for again: an earlier command without an answer may have removed it.
        """
        wanted = [market for market in portion.markets if market in self.unconfirmed]
        for market in portion.markets:
            self.removing.pop(market, None)
            if market not in self.unconfirmed:
                self.to_remove[market] = max(_ASKED_BEFORE, portion.tries)
        again = [market for market in wanted if market not in self.doubtful]
        remove(self.unconfirmed, again)
        self.to_add = {**{market: 0 for market in wanted if market in self.doubtful}, **self.to_add}
        return again

    def not_answered(self, portion: Portion) -> None:
        """Record that a command about these markets has no answer: it may have been carried out, or not."""
        self.doubtful.update(dict.fromkeys(portion.markets))
        wanted = {}
        for market in portion.markets:
            was_leaving = self.leaving.pop(market, False) is None
            was_removing = self.removing.pop(market, False) is None
            if market in self.unconfirmed:
                wanted[market] = max(_ASKED_BEFORE, portion.tries)
            elif was_leaving or was_removing:
                # The ledger says that one which is leaving was asked for, and not yet that it is removed.
                self.to_remove[market] = 0 if was_leaving else max(_ASKED_BEFORE, portion.tries)
        # First of all: those that are subscribed to are confirmed by it also when there is no room for others.
        self.to_add = {**wanted, **self.to_add}

    def _retract(self, market: str) -> None:
        """Note that a market which was asked for, and is not confirmed, is not wanted any more."""
        if market in self.doubtful:
            self.to_remove[market] = 0
        else:
            self.retracted.append(market)

    def set_aside(self, markets: Iterable[str]) -> None:
        self.aside.update(dict.fromkeys(markets))


def remove(those: dict[str, None], markets: Iterable[str]) -> None:
    """Remove markets from a dict that may not have them."""
    for market in markets:
        those.pop(market, None)
    if not those:
        those.clear()  # Without it, an empty dict keeps the memory of all that it held.
