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


@dataclass
class _Change:
    """What was asked for on one channel of one subscription within a minute, by the same action."""

    action: str
    minute: int
    markets: list[str] | None = field(default_factory=list)
    commands: list[Mapping[str, Any]] = field(default_factory=list)


class Gathering:
    """Holds the changes of the present minute. Those of one action become one entry; none is left out."""

    def __init__(self) -> None:
        self.changes: dict[tuple[int, str], _Change] = {}
        """By subscription and channel, the changes that are not in a note yet."""

    def add(self, asked: Asked, ts_ns: int) -> Iterator[Note]:
        """Take what is asked for now; yield the notes of what was asked for on the same channel by another action."""
        at = asked.subscription, asked.channel
        change = self.changes.get(at)
        if change is not None and (change.action, change.minute) != (asked.action, ts_ns // MINUTE_NS):
            yield from self._end(at, ts_ns)
            change = None
        if change is None:
            change = self.changes[at] = _Change(asked.action, ts_ns // MINUTE_NS)
        if asked.markets is None:
            change.markets = None
        elif change.markets is not None:
            change.markets += asked.markets
        change.commands += asked.commands

    def due(self, ts_ns: int, *, end: bool = False) -> Iterator[Note]:
        """Yield the notes of subscriptions and of changes whose minute is over; with `end`, those of all."""
        for at, change in list(self.changes.items()):
            if end or change.action == SUBSCRIBE or change.minute != ts_ns // MINUTE_NS:
                yield from self._end(at, ts_ns)

    def _end(self, at: tuple[int, str], ts_ns: int) -> Iterator[Note]:
        change = self.changes.pop(at)
        for fields in asked_fields(*at, change.action, change.markets, change.commands):
            yield Note(ASKED, ts_ns, 0, fields)
