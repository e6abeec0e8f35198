"""Gathers what a dialect asks for within a minute, so that the ledger gets few entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ssmd.contracts.events import Asked
from ssmd.contracts.writer import Note
from ssmd.store.asked import SUBSCRIBE, asked_fields
from ssmd.store.ledger import ASKED

__all__ = ["Gathering"]

MINUTE_NS = 60 * 1_000_000_000


_At = tuple[int, str, str]
"""A subscription, a channel and an action."""


@dataclass
class _Change:
    """What was asked for on one channel of one subscription within a minute, by the same action."""

    minute: int
    markets: dict[str, None] | None = field(default_factory=dict)
    commands: list[Mapping[str, Any]] = field(default_factory=list)


class Gathering:
    """Holds the changes of the present minute. Those of one action become one entry; none is left out.

    Additions and removals of other markets may be written in any order. Those of one market keep theirs.
    """

    def __init__(self) -> None:
        self.changes: dict[_At, _Change] = {}
        """The changes that are not in a note yet."""

    def add(self, asked: Asked, ts_ns: int) -> Iterator[Note]:
        """Take what is asked for now; yield the notes of what must be written before it."""
        at = asked.subscription, asked.channel, asked.action
        for known, change in list(self.changes.items()):
            is_over = change.minute != ts_ns // MINUTE_NS
            is_other = known != at and known[:2] == at[:2]
            if (known == at and is_over) or (is_other and (asked.action == SUBSCRIBE or _overlap(change, asked))):
                yield from self._end(known, ts_ns)
        change = self.changes.setdefault(at, _Change(ts_ns // MINUTE_NS))
        if asked.markets is None:
            change.markets = None
        elif change.markets is not None:
            change.markets.update(dict.fromkeys(asked.markets))
        change.commands += asked.commands

    def due(self, ts_ns: int, *, end: bool = False) -> Iterator[Note]:
        """Yield the notes of subscriptions and of changes whose minute is over; with `end`, those of all."""
        for at, change in list(self.changes.items()):
            if end or at[2] == SUBSCRIBE or change.minute != ts_ns // MINUTE_NS:
                yield from self._end(at, ts_ns)

    def _end(self, at: _At, ts_ns: int) -> Iterator[Note]:
        change = self.changes.pop(at)
        markets = None if change.markets is None else list(change.markets)
        for fields in asked_fields(*at, markets, change.commands):
            yield Note(ASKED, ts_ns, 0, fields)


def _overlap(change: _Change, asked: Asked) -> bool:
    """Return whether a change is about a market that is asked for, or not asked for any more, now."""
    markets = change.markets
    return markets is None or asked.markets is None or any(market in markets for market in asked.markets)
