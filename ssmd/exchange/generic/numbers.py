"""Follows the numbers that show whether messages were lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import COUNTER
from ssmd.exchange.generic.description import Sequence as Rule
from ssmd.exchange.generic.fields import Batch, Fields
from ssmd.exchange.generic.follower import Follower
from ssmd.exchange.generic.match import Matcher
from ssmd.exchange.generic.pick import Scope

__all__ = ["Followed", "Numbers"]


class Followed(NamedTuple):
    """What the numbers of a batch say."""

    gaps: list[Gap]
    numbers: Sequence[int | None]
    """The number of each message, the last one of a range; None where it has none."""
    sids: Sequence[int]
    """The sid of each number; also 0 where there is no number. Empty unless the messages are recorded ones."""
    uneven: bool
    """Whether numbers may be missing although no message is."""


class Numbers:
    """Follows the sequences of one connection.

    `scopes`: for each rule what reads its scope, None for the connection. `recorded`: whether sids are wanted.
    """

    def __init__(self, rules: Sequence[Rule], scopes: Sequence[Scope | None], fields: Fields, recorded: bool) -> None:
        self._names: dict[int, str] = {}
        self._recorded = recorded
        self._restarts = Matcher([rule.restart_when for rule in rules], fields)
        self._can_restart = any(rule.restart_when for rule in rules)
        self._numbered = Matcher([rule.when for rule in rules], fields)
        self._limited = {which for which, rule in enumerate(rules) if rule.when}
        """The rules that are not for all messages."""
        self._all_count = all(rule.kind == COUNTER for rule in rules)
        self._followers = [
            Follower(rule, place, scope, fields, self._names)
            for place, (rule, scope) in enumerate(zip(rules, scopes, strict=True))
        ]

    def name(self, sid: int) -> str:
        """Return what the numbers of a sid count; empty for the whole connection, and for an unknown sid."""
        return self._names.get(sid, "")

    @property
    def seen(self) -> bool:
        """Whether a message has had a number."""
        return any(follower.sids for follower in self._followers)

    @property
    def too_many(self) -> bool:
        """Whether there were more than MOST_SCOPES scopes."""
        return any(follower.too_many for follower in self._followers)

    def follow(self, batch: Batch) -> Followed:
        """Follow the numbers of some messages. Each counts in the first sequence whose fields it has."""
        count = len(batch.heads)
        restarts = self._restarts.find(batch) if self._can_restart else ()
        numbered = {(found.which, found.place) for found in self._numbered.find(batch)} if self._limited else ()
        gaps: list[Gap] = []
        numbers: list[int | None] = []
        sids = [0] * count if self._recorded else []
        rest: Sequence[int] = range(count)
        for which, follower in enumerate(self._followers):
            places = [place for place in rest if (which, place) in numbered] if which in self._limited else rest
            if not places:
                continue
            heads = batch.heads if len(places) == count else [batch.heads[place] for place in places]
            begins = {found.place for found in restarts if found.which == which}
            found = follower.follow(heads, places, begins, gaps)
            if self._recorded:
                for place, number, scope in zip(places, found, follower.scopes, strict=True):
                    if number is not None:
                        sids[place] = follower.sids[scope]
            if len(self._followers) == 1 and len(places) == count:
                return Followed(gaps, found, sids, bool(restarts) or not self._all_count)
            numbers = numbers or [None] * count
            for place, number in zip(places, found, strict=True):
                numbers[place] = number
            rest = [place for place in rest if numbers[place] is None]
        gaps.sort(key=lambda gap: gap.place)
        return Followed(gaps, numbers or [None] * count, sids, bool(restarts) or not self._all_count)
