"""How the rows of a table become the bytes of their lines again.

A layout is the text of a line with columns in the place of its values:

    {"ts":"<received>","feed":"kalshi","data":{"type":"ticker","sid":<sid>,"msg":{"market_ticker":"<market_ticker>",...

Messages of one type differ in what fields they have and how they are written, so a table has several. Each is learned
from a line, as its values are found in it. A value that its column does not hold stands in the layout as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ssmd.parquet.kinds import Kind, Params
from ssmd.parquet.spans import Path, spans_of

__all__ = ["Layout", "Piece", "learn"]


class Piece(NamedTuple):
    """A column and the text around it. In a row where the column is NULL, all of it is left out."""

    column: str
    params: Params
    lead: str
    """The key, with the comma before it when the member may be left out, and the opening quote."""
    trail: str = ""
    """The closing quote."""


class Layout:
    """`pieces`: text, and columns with the text around them, in the order of the line."""

    def __init__(self, pieces: Sequence[str | Piece]) -> None:
        self.pieces = pieces
        self.columns = {piece.column for piece in pieces if isinstance(piece, Piece)}

    def lines(self, columns: Mapping[str, pa.Array], kinds: Mapping[str, Kind]) -> pa.Array:
        """Return the bytes of each row's line, without its newline; NULL never."""
        parts: list[Any] = []
        text = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                text += piece
                continue
            values = kinds[piece.column].text(columns[piece.column], piece.params)
            if values.null_count:
                parts += [text, pc.binary_join_element_wise(piece.lead, values, piece.trail, "")]
                text = ""
            else:
                parts += [text + piece.lead, values]
                text = piece.trail
        return pc.binary_join_element_wise(*parts, text, "", null_handling="replace").cast(pa.binary())

    def described(self) -> list[Any]:
        """Return the layout as JSON."""
        return [piece if isinstance(piece, str) else list(piece) for piece in self.pieces]

    @classmethod
    def of(cls, described: Sequence[Any]) -> Layout:
        """Return the layout that described() has described."""
        return cls([piece if isinstance(piece, str) else Piece(*piece) for piece in described])

    @property
    def key(self) -> str:
        return json.dumps(self.described())


def learn(line: bytes, row: Mapping[str, pa.Array], paths: Mapping[Path, Kind]) -> Layout | None:
    """Return the layout of a line, without its newline; None for a line in which no value of a column is found.

    `row`: its values, each an array with one. `paths`: from the line's root.
    """
    try:
        text = line.decode("utf-8")
        spans = spans_of(text, paths)
    except (ValueError, RecursionError):
        return None
    pieces: list[str | Piece] = []
    at = 0
    for path, (start, end, lead) in sorted(spans.items(), key=lambda item: item[1]):
        kind = paths[path]
        params = _params(kind, row[kind.column.name], text[start:end])
        if params is None:
            continue
        quote = 1 if kind.quoted else 0
        pieces.append(text[at:lead])
        pieces.append(Piece(kind.column.name, params, text[lead : start + quote], text[end - quote : end]))
        at = end
    return Layout([*pieces, text[at:]]) if pieces else None


def _params(kind: Kind, value: pa.Array, span: str) -> Params | None:
    """Return how the value is written; None when text() does not give exactly this text."""
    if value.null_count or (kind.quoted and not span.startswith('"')):
        return None
    expected = span[1:-1] if kind.quoted else span
    for params in kind.candidates(span):
        if kind.text(value, params)[0].as_py() == expected:
            return params
    return None
