"""What one connection has asked for on each channel, what is confirmed, and what was heard from. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from ssmd.contracts.events import Acknowledged, Asked, ChannelState
from ssmd.exchange.generic.asking import Wish, decoded, groups_in, pairs_in, value_in
from ssmd.exchange.generic.description import Confirmation
from ssmd.exchange.generic.pick import LONGEST_REMEMBERED

__all__ = ["Subscriptions"]

_MOST_SETTLED = 100_000
"""How many names are remembered, so that an exchange cannot fill the memory."""


class _Channel:
    """One channel. Its markets are kept by their names in capitals: an exchange may write a name in another case."""

    __slots__ = ("activity", "markets", "name", "places", "unconfirmed", "unheard", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.markets: dict[str, str] | None = {}
        """None for all."""
        self.places: set[int] = set()
        """The messages that ask for it."""
        self.waiting: set[int] = set()
        """Those of them that are not confirmed as a whole."""
        self.unconfirmed: dict[str, str] = {}
        self.unheard: dict[str, str] = {}
        self.activity = 0

    def add(self, wish: Wish) -> None:
        self.places.add(wish.place)
        self.waiting.add(wish.place)
        if wish.markets is None or self.markets is None:
            self.markets = None
            self.unconfirmed, self.unheard = {}, {}
        else:
            names = {market.upper(): market for market in wish.markets}
            for those in (self.markets, self.unconfirmed, self.unheard):
                those.update(names)

    @property
    def is_confirmed(self) -> bool:
        return not (self.waiting if self.markets is None else self.unconfirmed)

    @property
    def open(self) -> int:
        """How many markets and messages are not confirmed."""
        return len(self.unconfirmed) + len(self.waiting)

    def confirm(self, markets: AbstractSet[str]) -> None:
        """Confirm some markets, by their names in capitals; with an empty name all that was asked for."""
        if "" in markets or self.markets is None:
            self.unconfirmed.clear()
            self.waiting.clear()
        self._settle(markets)

    def confirm_message(self, wish: Wish) -> None:
        """Confirm what one message asks for."""
        self.waiting.discard(wish.place)
        self._settle({market.upper() for market in wish.markets or ()})

    def _settle(self, markets: AbstractSet[str]) -> None:
        for market in self.unconfirmed.keys() & markets:
            del self.unconfirmed[market]
        if self.markets is not None and not self.unconfirmed:
            self.waiting.clear()


class Subscriptions:
    """What is asked for, and how much of it comes.

    `messages`: what is sent, before placeholders are filled in. `confirmation`: None when it is not known how the
    exchange confirms. `knows_heard`: whether messages show of which channel and market they are.
    """

    def __init__(
        self,
        wishes: Iterable[Wish],
        messages: Sequence[Any],
        confirmation: Confirmation | None,
        *,
        knows_heard: bool,
    ) -> None:
        self._messages = messages
        self._confirmation = confirmation
        self._knows_heard = knows_heard
        self.channels: dict[str, _Channel] = {}
        self._wishes: dict[int, list[Wish]] = {}
        self._places: dict[tuple[type, Any], int] = {}
        """The message of each id."""
        for wish in wishes:
            self._wishes.setdefault(wish.place, []).append(wish)
            self.channels.setdefault(wish.channel, _Channel(wish.channel)).add(wish)
        self.settled: set[str] = set()
        """The markets, as messages name them, for which no channel waits any more."""
        self.listens = knows_heard and any(channel.unheard for channel in self.channels.values())
        """Whether there are markets from which nothing has come yet."""

    @property
    def are_all(self) -> bool:
        """Whether every message that is sent asks for something that is known."""
        return len(self._wishes) == len(self._messages)

    def asked(self) -> Iterator[Asked]:
        for channel in self.channels.values():
            markets = None if channel.markets is None else list(channel.markets.values())
            commands = [self._messages[place] for place in sorted(channel.places)]
            yield Asked(1, channel.name, "subscribe", markets, commands)

    def sent(self, place: int, identity: Any) -> None:
        """Record that a message is sent with this id; None for none."""
        if place in self._wishes and isinstance(identity, int | str):
            self._places[type(identity), identity] = place

    def channel_of(self, answer: Any, identity: Any) -> str:
        """Return the channel that an answer with this id is about; empty when that is not known, or several are."""
        pick = self._confirmation.channel if self._confirmation is not None else None
        names = [wish.channel for wish in self._wishes_of(identity)]
        names = names or [name for name, _ in pairs_in(answer, pick, None) if name in self.channels]
        return names[0] if len(names) == 1 else ""

    def _wishes_of(self, identity: Any) -> Sequence[Wish]:
        known = isinstance(identity, int | str) and (type(identity), identity) in self._places
        return self._wishes[self._places[type(identity), identity]] if known else ()

    def confirm(self, payload: bytes, index: int) -> Sequence[Acknowledged] | None:
        """Read a message that may confirm something. Return each channel of which all is confirmed by it; None when it
        confirms nothing that was not confirmed before, so that it is data: this may have the fields of a confirmation.
        """
        confirmation = self._confirmation
        before = [channel for channel in self.channels.values() if not channel.is_confirmed]
        if confirmation is None or not before:
            return None
        count = sum(channel.open for channel in before)
        self._read(confirmation, decoded(payload))
        if count == sum(channel.open for channel in before):
            return None
        done = [channel for channel in before if channel.is_confirmed]
        return [Acknowledged(one.name, None, index, list((one.markets or {}).values())) for one in done]

    def _read(self, confirmation: Confirmation, answer: Any) -> None:
        if confirmation.id is not None and confirmation.channel is None and confirmation.market is None:
            for wish in self._wishes_of(value_in(answer, confirmation.id)):
                self.channels[wish.channel].confirm_message(wish)
        # A channel is taken with all its markets at once: as pairs, two long lists would fill the memory.
        on_any: set[str] = set()
        for names, markets in groups_in(answer, confirmation.channel, confirmation.market):
            capitals = {market.upper() for market in markets}
            for named in filter(None, map(self.channels.get, names)):
                named.confirm(capitals)
            if "" in names:
                on_any |= capitals - {""}
        for channel in self.channels.values() if on_any else ():
            channel.confirm(on_any)

    def hear(self, pairs: Collection[tuple[str, str]]) -> None:
        """Record that messages have come of these channels and markets."""
        for name, market in pairs:
            channel = self.channels.get(name)
            if channel is not None:
                channel.unheard.pop(market.upper(), None)
        waiting = [channel.unheard for channel in self.channels.values() if channel.unheard]
        short = (market for _, market in pairs if len(market) <= LONGEST_REMEMBERED)
        settled = (market for market in short if not any(market.upper() in those for those in waiting))
        self.settled.update(itertools.islice(settled, max(0, _MOST_SETTLED - len(self.settled))))
        self.listens = bool(waiting)
        if not self.listens:
            self.settled.clear()

    def states(self, unsent: Collection[int]) -> Iterator[ChannelState]:
        """Yield the state of each channel. `unsent`: the messages that are still to be sent."""
        for channel in self.channels.values():
            asked = None if channel.markets is None else len(channel.markets)
            is_known = self._confirmation is not None
            yield ChannelState(
                channel.name,
                1,
                asked,
                asked - len(channel.unconfirmed) if asked is not None and is_known else None,
                asked - len(channel.unheard) if asked is not None and self._knows_heard else None,
                pending=not channel.is_confirmed if is_known else None,
                activity=channel.activity,
                unsent=not channel.places.isdisjoint(unsent),
            )

    def unacknowledged(self) -> Iterator[str]:
        """Yield what is not confirmed, for the log."""
        for channel in self.channels.values():
            if self._confirmation is not None and not channel.is_confirmed:
                count = len(channel.unconfirmed)
                yield channel.name + (f" ({count:,} of {len(channel.markets):,} markets)" if channel.markets else "")

    def unheard(self, name: str) -> Sequence[str]:
        return list(self.channels[name].unheard.values()) if self._knows_heard else ()

    def unconfirmed(self, name: str) -> Sequence[str]:
        return list(self.channels[name].unconfirmed.values()) if self._confirmation is not None else ()
