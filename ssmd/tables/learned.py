"""Learns the tables of messages whose dialect declares none, from the messages themselves.

A table has the fields of all messages of its type; objects are spread into columns, lists are kept as JSON text. Where
a field is not always of one kind, its column is of one that holds all of them: an integer becomes a decimal number, and
what nothing else holds becomes JSON text. No number becomes a float. A field that was not seen here is in no column; a
line with it keeps its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.table import JSON, Column, Table
from ssmd.parquet import form
from ssmd.parquet.messages import types_of
from ssmd.parquet.spans import Path
from ssmd.store.head import split
from ssmd.tables.seen import Seen

__all__ = ["Learner"]

MOST_COLUMNS = 1000
"""How many columns a table may have; further fields are in none."""
_MOST_KEYS = 64
"""An object in which more keys were seen is kept as JSON text: its keys are probably markets, or other data.
shape/walk.py has a number of its own, which is in the shape files of recorded days: a table may take another one."""
_DEEPEST = 6
"""How many keys lead to a column at most."""
_ALL_OF = 2000
"""How many messages of a type are looked at, before it is only every _EACH-th."""
_EACH = 64

_NOT_DECODED = re.compile(r'[\x00-\x1f"\\]')
"""Characters of which msgspec takes none in the name of a field: such a field is in no column."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Learner:
    """Give it lines with add(), all of a day or some of them, and then ask for tables().

    `reader`: finds the types of messages. `known`: tables of types about which nothing is to be learned.
    """

    def __init__(self, reader: MessageReader, known: Sequence[Table] = ()) -> None:
        self._reader = reader
        self._known = {table.type: table for table in known}
        self._types: dict[str, _Type] = {}

    def add(self, block: bytes) -> None:
        """Learn from whole lines."""
        lines = [line[:-1] for line in split(block)]
        for line, start, type in zip(lines, *types_of(lines, self._reader), strict=True):
            if type is None or type in self._known:
                continue
            known = self._types.get(type)
            if known is None:
                known = self._types[type] = _Type()
            known.messages += 1
            if known.messages <= _ALL_OF or not known.messages % _EACH:
                known.learn(line[start:-1])

    def tables(self) -> list[Table]:
        """Return the known tables and those that were learned, the types with the most messages first."""
        types = sorted(self._types.items(), key=lambda item: -item[1].messages)
        return [*self._known.values(), *(Table(name, list(_columns(found.root))) for name, found in types)]


class _Node:
    """A field, in all messages of a type together."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.members: dict[str, _Node] = {}
        self.spread = True
        """Whether it may become one column for each member."""


class _Type:
    def __init__(self) -> None:
        self.messages = 0
        self.root = _Node()

    def learn(self, payload: bytes) -> None:
        _learn(self.root, msgspec.Raw(payload), 0)


def _learn(node: _Node, text: msgspec.Raw, depth: int) -> None:
    value = bytes(text)
    if not value.startswith(b"{"):
        node.seen.add(value)
        node.spread = node.spread and value == b"null"
        return
    node.seen.objects += 1
    if not node.spread or depth == _DEEPEST:
        node.spread = False
        return
    try:
        members = _members(text)
    except (ValueError, RecursionError):
        node.spread = False
        return
    for key, member in members.items():
        known = node.members.get(key)
        if known is None:
            known = node.members[key] = _Node()
        _learn(known, member, depth + 1)
    if len(node.members) > _MOST_KEYS and depth:
        node.spread, node.members = False, {}


def _columns(root: _Node) -> Iterator[Column]:
    taken = set(form.RESERVED)
    for place, (path, node) in enumerate(_leaves(root, ())):
        if place == MOST_COLUMNS:
            return
        name = _free("_".join(path) or "message", taken)
        taken.add(name.lower())
        yield node.seen.column(name, path) if not node.seen.objects else Column(name, path, JSON)


def _leaves(node: _Node, path: Path) -> Iterator[tuple[Path, _Node]]:
    """Yield what becomes a column, in the order in which messages have it."""
    if not (node.seen.objects and node.spread):
        if node.seen.objects or node.seen.count:
            yield path, node
        return
    for key, member in node.members.items():
        if not _NOT_DECODED.search(key):
            yield from _leaves(member, (*path, key))


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken. Many programs take no notice of upper and lower case, so `E` is taken by `e`."""
    number, free = 1, name
    while free.lower() in taken:
        number += 1
        free = f"{name}_{number}"
    return free
