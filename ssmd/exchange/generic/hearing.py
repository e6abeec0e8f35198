"""From which channels and markets messages come, among those that were asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ssmd.contracts.events import NotAsked
from ssmd.exchange.generic.asking import EVERYTHING, wishes_of
from ssmd.exchange.generic.description import Description
from ssmd.exchange.generic.fields import Batch
from ssmd.exchange.generic.inspector import GenericInspector
from ssmd.exchange.generic.pick import LONGEST_REMEMBERED
from ssmd.exchange.generic.subscriptions import Subscriptions

__all__ = ["Hearing", "subscriptions_of"]

MOST_NOT_ASKED = 5
"""How many channels that were not asked for are reported."""
MOST_COUNTED = 20
BATCHES = 10
"""Only what comes in so many batches is reported. Answers that the description does not know come once or twice."""

_REMEDY = "compare `paths.channel` or `paths.type` with `asked.channel` in the feed's dialect: they must give one name"


def subscriptions_of(description: Description, messages: Sequence[Any]) -> Subscriptions:
    """Return what the messages ask for; nothing when the description does not say it."""
    asking = description.asked
    wishes = [] if asking is None else list(wishes_of(asking, messages))
    paths = description.paths
    channels = len({wish.channel for wish in wishes})
    # When messages do not name their channel, a market may have been heard from on another one.
    knows_heard = paths.market is not None and bool(paths.channel or paths.type or channels == 1)
    return Subscriptions(wishes, messages, description.confirmed, knows_heard=knows_heard)


class Hearing:
    """Records from which channels and markets messages come.

    It makes a set of texts for each batch, and a second one as long as nothing has come from some market.
    """

    def __init__(self, subscriptions: Subscriptions, description: Description, inspector: GenericInspector) -> None:
        paths = description.paths
        self._subscriptions = subscriptions
        self._batches = 0
        names = list(subscriptions.channels)
        # When messages do not name their channel, each of them counts for all channels.
        self._all = names if EVERYTHING in names or not (paths.channel or paths.type) else None
        self._channel = None if self._all else inspector.texts_of(paths.channel or paths.type)
        self._not_asked: dict[str, int] = {}
        """In how many batches they came."""
        # What the description does not say may be asked for, too, and then come under any name.
        self._reported = 0 if subscriptions.are_all else MOST_NOT_ASKED
        self._market = inspector.texts_of(paths.market)

    def hear(self, batch: Batch, others: Collection[int]) -> Sequence[NotAsked]:
        """Record what has come, return the channels to report. `others`: the places of messages that are no data."""
        self._batches += 1
        heads = batch.heads
        if others:
            heads = [head for place, head in enumerate(heads) if place not in others]
        if not heads and (batch.heads or len(others) == len(batch.payloads)):
            return ()
        texts = None if self._channel is None else self._channel.column(heads)
        known = self._subscriptions.channels
        came = set(texts or ())
        names = self._all if self._all is not None else came.intersection(known)
        is_new = self._all is None and len(came) > len(names) and self._reported < MOST_NOT_ASKED
        not_asked = list(self._count(came.difference(known))) if is_new else ()
        for name in names:
            known[name].activity = self._batches
        if self._subscriptions.listens and self._market is not None:
            markets = self._market.column(heads)
            if self._subscriptions.settled.issuperset(markets):
                return not_asked
            if self._all is None:
                pairs = set(zip(texts or (), markets, strict=True))
            else:
                pairs = {(name, market) for name in self._all for market in set(markets)}
            self._subscriptions.hear(pairs)
        return not_asked

    def _count(self, names: Collection[str]) -> Iterator[NotAsked]:
        """Count channels that were not asked for; yield those that have come often enough to be reported."""
        for name in sorted(names):
            counts = self._not_asked
            if not 0 < len(name) <= LONGEST_REMEMBERED or (name not in counts and len(counts) >= MOST_COUNTED):
                continue
            counts[name] = counts.get(name, 0) + 1
            if counts[name] == BATCHES and self._reported < MOST_NOT_ASKED:
                self._reported += 1
                yield NotAsked(name, _REMEDY)
