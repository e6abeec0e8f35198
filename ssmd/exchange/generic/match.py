"""Finds the messages that a description's matches select."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from ssmd.exchange.generic.description import EXISTS, IS, NOT, PREFIX, Condition, Match
from ssmd.exchange.generic.fields import Batch, Column, Fields
from ssmd.field_path import FieldPath

__all__ = ["Found", "Matcher"]


class Found(NamedTuple):
    """A message that matches."""

    place: int
    """The index of the message in its batch."""
    which: int
    """The index of the match in the list that the Matcher was made of."""


class _Candidate(NamedTuple):
    """One list of conditions, all of which must hold."""

    which: int
    conditions: tuple[Condition, ...]


class Matcher:
    """Looks for several matches at once, which costs little while no message matches.

    In each list of conditions, one condition is looked at first, so that as few fields as possible are needed. The
    values of such a field in a whole batch become a set, which takes a few dozen ns a message. Single messages are
    looked at only when the condition holds for a value in the set.
    """

    def __init__(self, matches: Sequence[Match], fields: Fields) -> None:
        candidates = [_Candidate(which, conditions) for which, match in enumerate(matches) for conditions in match]
        self._of_text = [one for one in candidates if _is_of_text(one)]
        conditions = [condition for one in candidates for condition in one.conditions]
        self._columns = {
            condition.path: fields.column(condition.path, presence=condition.test == EXISTS)
            for condition in conditions
            if condition.path is not None
        }
        groups = _grouped([one for one in candidates if one.conditions and not _is_of_text(one)])
        self._groups = [_Group(path, self._columns[path], members) for path, members in groups.items()]

    def find(self, batch: Batch) -> list[Found]:
        """Return the messages that match, in order; a message that several matches select is there once for each."""
        found: set[Found] = set()
        if self._of_text and batch.unread:
            found.update(self._find_texts(batch))
        for group in self._groups:
            for index, one in group.may_match(batch.heads):
                head = batch.heads[index]
                if head is not UNSET and all(self._holds_in(each, head) for each in one.conditions):
                    found.add(Found(index, one.which))
        return sorted(found) if found else []

    def _holds_in(self, condition: Condition, head: Any) -> bool:
        return condition.path is not None and _holds(condition, self._columns[condition.path].one(head))

    def _find_texts(self, batch: Batch) -> Iterable[Found]:
        for index in batch.unread:
            text = str(batch.payloads[index], "utf-8", "replace")
            for one in self._of_text:
                if all(each.path is None and _holds(each, text) for each in one.conditions):
                    yield Found(index, one.which)


class _Group:
    """Lists of conditions that each have one for the same field."""

    def __init__(self, path: FieldPath, column: Column, members: Sequence[_Candidate]) -> None:
        self._column = column
        self._members = [
            (condition, one) for one in members for condition in one.conditions if condition.path == path
        ]

    def may_match(self, heads: Sequence[Any]) -> Iterable[tuple[int, _Candidate]]:
        """Return the indexes of heads for which the condition holds, each with its list."""
        values = self._column(heads)
        try:
            distinct: Iterable[Any] = set(values)
        except TypeError:  # A list among them.
            distinct = values
        holding = [(condition, one) for condition, one in self._members if _any_may_hold(condition, values, distinct)]
        return [
            (index, one)
            for condition, one in holding
            for index, value in enumerate(values)
            if _holds(condition, value)
        ]


def _any_may_hold(condition: Condition, values: Iterable[Any], distinct: Iterable[Any]) -> bool:
    """Return whether a condition may hold for one of the values. `distinct`: a set of them, if they can be in one."""
    if condition.test == IS and isinstance(distinct, set):
        return condition.value in distinct
    if condition.test == NOT and {bool, int, float} & set(map(type, values)) > {bool}:
        return True  # A set has only one of 1 and true, perhaps the one that is meant.
    return any(_holds(condition, value) for value in distinct)


def _holds(condition: Condition, value: Any) -> bool:
    """Return whether a condition holds for a value, UNSET for none."""
    if condition.test == EXISTS:
        return bool((value is not UNSET) == condition.value)
    if condition.test == PREFIX:
        return type(value) is str and value.startswith(condition.value)
    equals = _json_type(value) is _json_type(condition.value) and bool(value == condition.value)
    return equals if condition.test == IS else not equals and value is not UNSET


def _json_type(value: Any) -> type:
    """Return the type of a value as JSON sees it: it has one type for all numbers."""
    return float if type(value) is int else type(value)


_RANKS = {IS: 3, PREFIX: 2, NOT: 1, EXISTS: 1}


def _grouped(candidates: Sequence[_Candidate]) -> dict[FieldPath, list[_Candidate]]:
    """Divide lists of conditions by the field that shows best, and of most of them, which messages are meant."""
    counts: Counter[FieldPath] = Counter()
    ranks: dict[FieldPath, int] = {}
    for one in candidates:
        for condition in one.conditions:
            if condition.path is not None:
                rank = _RANKS[condition.test] if condition.value is not False or condition.test != EXISTS else 0
                ranks[condition.path] = min(rank, ranks.get(condition.path, rank))
        counts.update(_paths(one))
    groups: dict[FieldPath, list[_Candidate]] = {}
    for one in candidates:
        best = max(_paths(one), key=lambda path: (ranks[path], counts[path]))
        groups.setdefault(best, []).append(one)
    return groups


def _is_of_text(one: _Candidate) -> bool:
    return any(condition.path is None for condition in one.conditions)


def _paths(one: _Candidate) -> Sequence[FieldPath]:
    return list(dict.fromkeys(condition.path for condition in one.conditions if condition.path is not None))
