"""Follows the numbers of one sequence, in each of its scopes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import CHAIN, COUNTER, RANGE
from ssmd.exchange.generic.description import Sequence as Rule
from ssmd.exchange.generic.fields import Fields
from ssmd.exchange.generic.parsing.paths import CONNECTION
from ssmd.exchange.generic.pick import Scope

__all__ = ["MOST_SCOPES", "Follower"]

MOST_SCOPES = 100_000
"""More scopes end the run: no exchange has as many markets, so the description names the wrong field. This many take
22 MB when their names have 12 letters, and at most 125 MB."""

_LONGEST_SCOPE = 256
"""A longer text does not count as a scope, so that an exchange cannot fill the memory."""

_LARGEST = 2**62
"""A larger number does not count, unless it is the expected one. So all numbers fit into 64 bits."""

_MOST_DIGITS = 19
"""The most of a text that counts as a number."""
_DIGITS = re.compile(rf"[0-9]{{1,{_MOST_DIGITS}}}")
_ALIKE = {bool, float, type(None)}
"""Types whose values may equal the expected number, although they are no numbers of a sequence."""
_NO_PREVIOUS = (UNSET, None, -1, "-1")
"""What the first message of a chain has in place of the number of the message before."""


class Follower:
    """Follows one sequence. Its sids depend on the scope and, unless it is the first of a description, on the rule."""

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
        lasts, kinds = _as_integers(self._lasts(heads))
        self.scopes = scopes = self._scopes_of(heads)
        if self._kind != COUNTER or begins or not kinds.isdisjoint(_ALIKE):
            firsts = lasts if self._kind == COUNTER else _as_integers(self._firsts(heads))[0]
            return self._follow_any(scopes, firsts, lasts, places, begins, gaps)
        if self._is_by_connection and self._follow_at_once(lasts, kinds):
            return lasts
        expected, expected_in = self._expected, self._expected.get
        numbers: list[int | None] = lasts
        for at, scope, number in zip(range(len(heads)), scopes, lasts, strict=True):
            if expected_in(scope) == number:
                expected[scope] = number + 1
            elif number is UNSET:
                numbers[at] = None
            else:
                numbers[at] = self._read(places[at], scope, number, number, gaps)
        return numbers

    def _follow_any(
        self,
        scopes: Sequence[str],
        firsts: list[Any],
        lasts: list[Any],
        places: Sequence[int],
        begins: set[int],
        gaps: list[Gap],
    ) -> list[int | None]:
        """Do what follow() does, for every kind of sequence and whatever the values are."""
        expected, step = self._expected, self._step
        numbers: list[int | None] = list(lasts)
        for at, (scope, first, last) in enumerate(zip(scopes, firsts, lasts, strict=True)):
            if begun := bool(begins) and places[at] in begins:
                expected.pop(scope, None)
            if expected.get(scope) == first and type(first) is type(last) is int and 0 <= last <= _LARGEST:
                expected[scope] = last + step
            elif last is UNSET:
                numbers[at] = None
            else:
                numbers[at] = self._read(places[at], scope, first, last, gaps, begun=begun)
        return numbers

    def _scopes_of(self, heads: Sequence[Any]) -> Sequence[str]:
        if self._is_by_connection or self._scope is None:
            return [""] * len(heads)
        return self._scope.column(heads)

    def _follow_at_once(self, numbers: Sequence[Any], kinds: set[type]) -> bool:
        """Return whether the numbers count up without a gap, and if so, follow them."""
        first = self._expected.get("")
        if first is None or kinds != {int} or numbers[0] != first:
            return False
        end = first + len(numbers)
        if numbers != list(range(first, end)):
            return False
        self._expected[""] = end
        return True

    def _read(
        self, place: int, scope: str, first: Any, last: Any, gaps: list[Gap], *, begun: bool = False
    ) -> int | None:
        """Follow the numbers of a message, which may be anything; return its own, None when it has none.

        `begun`: the message begins the sequence anew, and needs only its own: Gate.io's whole books have no first one.
        """
        own = number_of(last)
        before = own if self._kind == COUNTER else number_of(first)
        begins = begun or (self._kind == CHAIN and any(first is none or first == none for none in _NO_PREVIOUS))
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


def _as_integers(values: list[Any]) -> tuple[list[Any], set[type]]:
    """Return the values, and their types; when all are texts of digits, the integers that they are."""
    kinds = set(map(type, values))
    if kinds == {str} and min(map(len, values)) > 0 and max(map(len, values)) <= _MOST_DIGITS:
        digits = "".join(values)
        if digits.isascii() and digits.isdigit():
            return list(map(int, values)), {int}
    return values, kinds


def number_of(value: Any) -> int | None:
    """Return the number that a value or a text of digits is; None for a negative or too large one, and for others."""
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    return value if type(value) is int and 0 <= value <= _LARGEST else None
