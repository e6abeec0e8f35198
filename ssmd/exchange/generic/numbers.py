"""Follows the numbers that show whether messages were lost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import CHAIN, COUNTER, RANGE
from ssmd.exchange.generic.description import Sequence as Rule
from ssmd.exchange.generic.fields import Batch, Fields
from ssmd.exchange.generic.match import Matcher
from ssmd.exchange.generic.pick import Scope

__all__ = ["CONNECTION", "MOST_SCOPES", "Followed", "Numbers", "number_of"]

CONNECTION = "connection"
"""The scope of a sequence that counts all messages."""

MOST_SCOPES = 100_000
"""The messages of more scopes are not followed, and end the run: an exchange has fewer markets, so the description
names the wrong field. So many take up to 40 MB."""

_LONGEST_SCOPE = 256
"""A longer text is no scope, so that an exchange cannot fill the memory."""

_LARGEST = 2**62
"""A larger number is none. There is room in 64 bits for the one that is expected next."""

_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_NO_PREVIOUS = (UNSET, None, -1, "-1")
"""What the first message of a chain has in place of the number of the message before."""


class Followed(NamedTuple):
    """What the numbers of a batch say."""

    gaps: list[Gap]
    numbers: Sequence[int | None]
    """The number of each message, the last one of a range; None where it has none."""
    sids: Sequence[int]
    """What it counts; 0 where there is no number, too. Empty unless the messages are recorded ones."""
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
        self._all_count = all(rule.kind == COUNTER for rule in rules)
        self._followers = [
            _Follower(rule, place, scope, fields, self._names)
            for place, (rule, scope) in enumerate(zip(rules, scopes, strict=True))
        ]

    def name(self, sid: int) -> str:
        """Return what the numbers of a sid count; empty for the whole connection, and for an unknown sid."""
        return self._names.get(sid, "")

    @property
    def too_many(self) -> bool:
        """Whether there were more than MOST_SCOPES scopes."""
        return any(follower.too_many for follower in self._followers)

    def follow(self, batch: Batch) -> Followed:
        """Follow the numbers of some messages. Each counts in the first sequence whose fields it has."""
        restarts = self._restarts.find(batch) if self._can_restart else ()
        gaps: list[Gap] = []
        numbers: list[int | None] = []
        sids = [0] * len(batch.heads) if self._recorded else []
        places: Sequence[int] = range(len(batch.heads))
        heads = batch.heads
        for which, follower in enumerate(self._followers):
            begins = {found.place for found in restarts if found.which == which}
            found = follower.follow(heads, places, begins, gaps)
            if self._recorded:
                for place, number, scope in zip(places, found, follower.scopes, strict=True):
                    if number is not None:
                        sids[place] = follower.sids[scope]
            if which == 0:
                numbers = found
            else:
                for place, number in zip(places, found, strict=True):
                    numbers[place] = number
            if which + 1 < len(self._followers):
                places = [place for place, number in zip(places, found, strict=True) if number is None]
                if not places:
                    break
                heads = [batch.heads[place] for place in places]
        if len(self._followers) > 1:
            gaps.sort(key=lambda gap: gap.place)
        return Followed(gaps, numbers, sids, bool(restarts) or not self._all_count)


class _Follower:
    """Follows one sequence. Its first rule's sids depend on the scope alone, those of later rules on the rule, too."""

    def __init__(self, rule: Rule, place: int, scope: Scope | None, fields: Fields, names: dict[int, str]) -> None:
        self._kind = rule.kind
        self._step = 0 if rule.kind == CHAIN else 1
        self._rule = str(rule.last) if place else ""
        self._scope = scope
        self._firsts = fields.column(rule.first)
        self._lasts = fields.column(rule.last)
        self._is_by_connection = rule.scope == CONNECTION
        self._names = names
        self._expected: dict[str, int] = {}
        """By scope: what the first number of the next message should be; in a chain, its number of the message before.
        The scope of the connection is empty."""
        self.sids: dict[str, int] = {}
        """By scope."""
        self.scopes: Sequence[str] = ()
        """Those of the messages that were followed last."""
        self.too_many = False

    def follow(
        self, heads: Sequence[Any], places: Sequence[int], begins: set[int], gaps: list[Gap]
    ) -> list[int | None]:
        """Return the number of each message, None where it has none, and add the gaps.

        `places`: the indexes of the messages in their batch. `begins`: those at which a new sequence begins.
        """
        lasts = self._lasts(heads)
        firsts = lasts if self._kind == COUNTER else self._firsts(heads)
        self.scopes = scopes = self._scopes_of(heads)
        if self._is_by_connection and self._kind == COUNTER and not begins and self._follow_at_once(lasts):
            return lasts
        expected, step = self._expected, self._step
        numbers: list[int | None] = lasts
        for at, (place, scope, first, last) in enumerate(zip(places, scopes, firsts, lasts, strict=True)):
            if restarted := bool(begins) and place in begins:
                expected.pop(scope, None)
            if expected.get(scope) == first and type(first) is type(last) is int and 0 <= last <= _LARGEST:
                expected[scope] = last + step
            elif last is UNSET:
                numbers[at] = None
            else:
                numbers[at] = self._read(place, scope, first, last, gaps, restarted)
        return numbers

    def _scopes_of(self, heads: Sequence[Any]) -> Sequence[str]:
        if self._is_by_connection or self._scope is None:
            return [""] * len(heads)
        return self._scope.column(heads)

    def _follow_at_once(self, numbers: Sequence[Any]) -> bool:
        """Return whether the numbers count up without a gap, and if so, follow them."""
        first = self._expected.get("")
        if first is None or numbers[0] != first or numbers != list(range(first, end := first + len(numbers))):
            return False
        if set(map(type, numbers)) != {int} or end > _LARGEST:
            return False
        self._expected[""] = end
        return True

    def _read(self, place: int, scope: str, first: Any, last: Any, gaps: list[Gap], restarted: bool) -> int | None:
        """Follow the numbers of a message, which may be anything; return its own, None when it has none.

        A message that begins a sequence needs no more than its own: Gate.io's whole books have no first one.
        """
        own = number_of(last)
        before = own if self._kind == COUNTER else number_of(first)
        begins = restarted or (self._kind == CHAIN and any(first is none or first == none for none in _NO_PREVIOUS))
        if own is None or (before is None and not begins) or not self._knows(scope):
            return None
        expected = self._expected.get(scope)
        if expected is not None and before is not None and self._is_gap(expected, before):
            sid = self.sids[scope]
            name = self._names.get(sid, "")
            gaps.append(Gap(sid, expected, before, place, name=name, counted=self._kind == COUNTER))
        self._expected[scope] = own + self._step
        return own

    def _is_gap(self, expected: int, before: int) -> bool:
        return before > expected if self._kind == RANGE else before != expected

    def _knows(self, scope: str) -> bool:
        """Return whether the messages of a scope are followed; give it a sid."""
        if scope in self.sids:
            return True
        if (not scope and not self._is_by_connection) or len(scope) > _LONGEST_SCOPE:
            return False
        if len(self._names) >= MOST_SCOPES:
            self.too_many = True
            return False
        if not scope and not self._rule:
            self.sids[scope] = 0
        else:
            sid = self.sids[scope] = _sid(scope, self._rule)
            self._names[sid] = " ".join(filter(None, (scope, self._rule and f"({self._rule})")))
        return True


def _sid(scope: str, rule: str) -> int:
    """Return 53 bits that are the same in every process, so that a day's file alone gives the same sids."""
    text = f"{scope}\0{rule}" if rule else scope
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 11 or 1


def number_of(value: Any) -> int | None:
    """Return the number that a value or a text of digits is; None for a negative or too large one, and for others."""
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    return value if type(value) is int and 0 <= value <= _LARGEST else None
