"""Finds for each line the layout that gives its very bytes, and learns layouts from lines that have none yet."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ssmd.parquet.kinds import Kind
from ssmd.parquet.layout import Layout, learn
from ssmd.parquet.spans import Path

__all__ = ["PLACE", "Matching"]

_MOST_LAYOUTS = 1000
"""How many layouts a table may have: the metadata of its file have them all."""
_MOST_TRIED = 16
"""How many layouts all lines of a batch are compared with, those that were right most often."""
_MOST_FAILED = 8
"""How many lines of a batch nothing may be learned from. The rest then keep their bytes."""

PLACE = pa.int16()

Columns = Mapping[str, pa.Array]


class Matching:
    """The layouts of one table. `kinds`: by the path of their column in a line."""

    def __init__(self, kinds: Mapping[Path, Kind]) -> None:
        self._paths = kinds
        self._kinds = {kind.column.name: kind for kind in kinds.values()}
        self.layouts: list[Layout] = []
        self._places: dict[str, int] = {}
        self._hits: list[int] = []

    def match(self, columns: Columns, lines: pa.Array) -> pa.Array:
        """Return for each line, without its newline, the place of its layout; NULL for a line that must be kept.

        It does what a reader does: the place is given only to a row whose columns give these very bytes.
        """
        batch = _Batch(columns, lines, self._kinds)
        usual = sorted(range(len(self.layouts)), key=self._hits.__getitem__, reverse=True)[:_MOST_TRIED]
        for place in usual:
            self._try(batch, place)
        failed = 0
        while batch.count and failed < _MOST_FAILED:
            first, learned = batch.first, self._learn(batch)
            if learned is not None and learned not in usual:
                self._try(batch, learned)
            if batch.count and batch.first == first:
                batch.pass_over()
                failed += 1
        return batch.places()

    def _try(self, batch: _Batch, place: int) -> None:
        if batch.count:
            self._hits[place] += batch.match(place, self.layouts[place])

    def _learn(self, batch: _Batch) -> int | None:
        """Return the place of the layout of the first line that has none yet; None when it cannot be learned."""
        layout = learn(*batch.first_row(), self._paths)
        if layout is None:
            return None
        place = self._places.get(layout.key)
        if place is None and len(self.layouts) < _MOST_LAYOUTS:
            place = self._places[layout.key] = len(self.layouts)
            self.layouts.append(layout)
            self._hits.append(0)
        return place


class _Batch:
    """Some lines, and which of them have a layout by now."""

    def __init__(self, columns: Columns, lines: pa.Array, kinds: Mapping[str, Kind]) -> None:
        self._columns = columns
        self._lines = lines
        self._kinds = kinds
        self._size = len(lines)
        self._left: pa.Array | None = None
        """The lines without a layout; None for all."""
        self._found: list[tuple[int, pa.Array]] = []

    @property
    def count(self) -> int:
        """How many lines have no layout, and were not passed over."""
        return self._size if self._left is None else len(self._left)

    @property
    def first(self) -> int:
        return 0 if self._left is None else int(self._left[0].as_py())

    def first_row(self) -> tuple[bytes, Columns]:
        """Return the first line that is left, and its columns."""
        at = self.first
        return self._lines[at].as_py(), {name: array.slice(at, 1) for name, array in self._columns.items()}

    def pass_over(self) -> None:
        """Leave the first line without a layout."""
        self._left = pa.array(range(1, self._size), pa.int64()) if self._left is None else self._left.slice(1)

    def match(self, place: int, layout: Layout) -> int:
        """Give a layout to those lines that are left and that it is right for; return how many these are."""
        left = self._left
        names = layout.columns
        columns = {name: self._columns[name] if left is None else self._columns[name].take(left) for name in names}
        lines = self._lines if left is None else self._lines.take(left)
        same = pc.equal(layout.lines(columns, self._kinds), lines)
        matched, others = pc.indices_nonzero(same), pc.indices_nonzero(pc.invert(same))
        if len(matched):
            self._found.append((place, matched if left is None else left.take(matched)))
            self._left = others if left is None else left.take(others)
        return len(matched)

    def places(self) -> pa.Array:
        """Return the place of each line's layout; NULL where it has none."""
        if len(self._found) == 1 and len(self._found[0][1]) == self._size:
            return pa.repeat(pa.scalar(self._found[0][0], PLACE), self._size)
        rows = [rows.cast(pa.int64()) for _, rows in self._found]
        values = [pa.repeat(pa.scalar(place, PLACE), len(rows)) for place, rows in self._found]
        places = pa.nulls(self._size, PLACE)
        if not rows:
            return places
        order = pc.sort_indices(pa.concat_arrays(rows))
        mask = pc.is_in(pa.array(range(self._size), pa.int64()), pa.concat_arrays(rows))
        return pc.replace_with_mask(places, mask, pa.concat_arrays(values).take(order))
