"""Decodes messages of one type into the values of its columns."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ssmd.parquet.kinds import Kind
from ssmd.parquet.spans import Path

__all__ = ["Decoding"]

_CHUNK = 512
"""How many messages are decoded before their values are put into columns: few enough for a processor's cache."""
_FIELD = "f%d"

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Decoding:
    """For the columns of one table, each a kind with its path."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self._kinds = kinds
        self._is_whole = any(not kind.column.path for kind in kinds)
        """Whether the one column has whole messages."""
        self._tree: dict[str, Any] = {}
        for kind in kinds:
            node = self._tree
            for key in kind.column.path[:-1]:
                node = node.setdefault(key, {})
            if kind.column.path:
                node[kind.column.path[-1]] = kind
        self._decode = msgspec.json.Decoder(_struct(self._tree)).decode

    def columns(self, payloads: Sequence[bytes]) -> list[Sequence[Any]]:
        """Return the decoded values of each column, one for each payload."""
        if not payloads:
            return [[] for _ in self._kinds]
        if self._is_whole:
            return [[_decoded(kind, payload) for payload in payloads] for kind in self._kinds]
        found: dict[Path, list[Any]] = {kind.column.path: [] for kind in self._kinds}
        for start in range(0, len(payloads), _CHUNK):
            chunk = payloads[start : start + _CHUNK]
            try:
                rows = list(map(self._decode, chunk))
            except (ValueError, RecursionError):
                self._add_one_by_one(chunk, found)
            else:
                _spread(rows, self._tree, (), found)
        return list(found.values())

    def _add_one_by_one(self, payloads: Sequence[bytes], found: Mapping[Path, list[Any]]) -> None:
        rows = []
        for payload in payloads:
            try:
                rows.append(self._decode(payload))
            except (ValueError, RecursionError):
                _spread(rows, self._tree, (), found)
                rows = []
                self._add_row(payload, found)
        _spread(rows, self._tree, (), found)

    def _add_row(self, payload: bytes, found: Mapping[Path, list[Any]]) -> None:
        """Add the values of one payload, which may be anything."""
        row = {kind.column.path: kind.missing for kind in self._kinds}
        _pick(msgspec.Raw(payload), self._tree, (), row)
        for path, value in row.items():
            found[path].append(value)


def _pick(text: msgspec.Raw, tree: dict[str, Any], path: Path, found: dict[Path, Any]) -> None:
    """Find those values in a JSON text that are of the type of their column."""
    try:
        members = _decode_members(text)
    except (ValueError, RecursionError):
        return
    for key in tree.keys() & members.keys():
        node, inner = tree[key], (*path, key)
        if isinstance(node, dict):
            _pick(members[key], node, inner, found)
            continue
        found[inner] = _decoded(node, members[key])


def _decoded(kind: Kind, text: bytes | msgspec.Raw) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return kind.decode(text)
    return kind.missing


def _struct(tree: dict[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    names = {}
    for place, (key, node) in enumerate(tree.items()):
        name = _FIELD % place
        names[name] = key
        if isinstance(node, dict):
            inner = _struct(node)
            fields.append((name, inner, msgspec.field(default_factory=inner)))
        else:
            fields.append((name, node.decoded, node.missing))
    return msgspec.defstruct("Message", fields, rename=names, gc=False)


def _spread(rows: Sequence[Any], tree: dict[str, Any], path: Path, found: Mapping[Path, list[Any]]) -> None:
    """Add the values of structs to the columns.

    One column after the other makes no tuples, which the garbage collector would look through again and again.
    """
    for place, (key, node) in enumerate(tree.items()):
        values = map(operator.attrgetter(_FIELD % place), rows)
        if isinstance(node, dict):
            _spread(list(values), node, (*path, key), found)
        else:
            found[(*path, key)].extend(values)
