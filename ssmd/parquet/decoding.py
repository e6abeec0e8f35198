"""Decodes messages of one type into the values of its columns."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from ssmd.parquet.kinds import Kind
from ssmd.parquet.spans import Path

__all__ = ["Decoding"]

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
            return [list(map(msgspec.Raw, payloads))]
        try:
            found: dict[Path, Sequence[Any]] = {}
            _spread(list(map(self._decode, payloads)), self._tree, (), found)
            return [found[kind.column.path] for kind in self._kinds]
        except (ValueError, RecursionError, TypeError):
            return list(zip(*map(self._row, payloads), strict=True))

    def _row(self, payload: bytes) -> list[Any]:
        """Return the values of one payload, which may be anything."""
        found = {kind.column.path: kind.missing for kind in self._kinds}
        _pick(msgspec.Raw(payload), self._tree, (), found)
        return list(found.values())


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
        with contextlib.suppress(ValueError, RecursionError):
            found[inner] = node.decode(members[key])


def _struct(tree: dict[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    names = {}
    for place, (key, node) in enumerate(tree.items()):
        name = f"f{place}"
        names[name] = key
        if isinstance(node, dict):
            inner = _struct(node)
            fields.append((name, inner, msgspec.field(default_factory=inner)))
        else:
            fields.append((name, node.decoded, node.missing))
    return msgspec.defstruct("Message", fields, rename=names, gc=False)


def _spread(rows: Sequence[msgspec.Struct], tree: dict[str, Any], path: Path, found: dict[Path, Sequence[Any]]) -> None:
    """Put the values of structs into columns."""
    columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
    for (key, node), values in zip(tree.items(), columns, strict=True):
        if isinstance(node, dict):
            _spread(values, node, (*path, key), found)
        else:
            found[(*path, key)] = values
